// Sending signals, and the queues in which they wait.
#include "sched/signal.h"

#include "sched/run_queue.h"
#include "sched/signal_delivery.h"
#include "sched/signal_hooks.h"
#include <bit>
#include <utility>

namespace eremite {

constinit SignalTable g_signal_table;

namespace {

constinit WaitQueue s_arrivals;

bool is_ignored(const abi::SignalAction& action, int number)
{
    return action.handler == abi::k_sig_ignore
        || (action.handler == abi::k_sig_default && default_action(number) == DefaultAction::Ignore);
}

bool accepts(const Thread& thread, SignalSet bit)
{
    const SignalState& signals = const_cast<Thread&>(thread).signals();
    return (signals.mask & bit) == 0 || (signals.waiting_for.load(std::memory_order_relaxed) & bit) != 0;
}

/// The thread that a signal to the process interrupts: the caller if it may, else any. Null: all block it.
RefPtr<Thread> choose_thread(SignalSet bit)
{
    Thread& self = current();
    if (self.is_application() && accepts(self, bit))
        return RefPtr<Thread>(&self);
    RefPtr<Thread> chosen;
    ThreadTable::for_each_application_thread([&](Thread& thread) {
        if (!accepts(thread, bit) || !thread.try_ref())
            return true;
        chosen = RefPtr<Thread>::adopt(&thread);
        return false;
    });
    return chosen;
}

void append(QueuedSignal*& queue, QueuedSignal& signal)
{
    QueuedSignal** end = &queue;
    while (*end)
        end = &(*end)->next;
    *end = &signal;
    signal.next = nullptr;
    signal.is_queued.store(true, std::memory_order_relaxed);
}

void release(QueuedSignal& signal)
{
    signal.is_queued.store(false, std::memory_order_relaxed);
    if (signal.is_timers)
        return;
    QueuedSignal*& spare = current().signals().spare;
    if (!spare)
        spare = &signal;
    else
        OwnPtr<QueuedSignal>::adopt(&signal) = nullptr;
}

/// Null: no memory.
QueuedSignal* make_node()
{
    if (QueuedSignal* spare = std::exchange(current().signals().spare, nullptr))
        return spare;
    auto made = make<QueuedSignal>();
    return made.is_error() ? nullptr : made.release_value().leak();
}

enum class Sent : u8 { Queued, Dropped, Merged };

/// Puts the signal where it belongs. `node` may be null: then only its number is known.
Sent enqueue(int number, QueuedSignal* node, Thread* thread)
{
    SignalSet bit = signal_bit(number);
    Locked lock(g_signal_table.lock);
    // Somebody who blocks it may change the action before looking, or read a signalfd.
    bool is_blocked = thread ? (thread->signals().mask & bit) != 0 : !choose_thread(bit);
    if (is_ignored(g_signal_table.action(number), number) && !is_blocked)
        return Sent::Dropped;
    std::atomic<SignalSet>& pending = thread ? thread->signals().pending : g_process_signals;
    if (number < abi::k_sigrtmin && (pending.load(std::memory_order_relaxed) & bit) != 0)
        return Sent::Merged;
    if (node)
        append(thread ? thread->signals().queue : g_signal_table.process_queue, *node);
    pending.fetch_or(bit, std::memory_order_seq_cst);
    return Sent::Queued;
}

void notify(int number, Thread* thread)
{
    s_arrivals.wake_all(1); // POLLIN
    if (thread) {
        Scheduler::notify_signal(*thread);
    } else if (auto chosen = choose_thread(signal_bit(number))) {
        Scheduler::notify_signal(*chosen);
    }
}

void send_from_kernel(Thread* thread, const abi::SignalInfo& information)
{
    static_cast<void>(send_signal(information, thread));
}

constinit const SignalHooks s_hooks {
    .deliver = deliver_signals,
    .restarts_next = next_signal_restarts,
    .deliver_fault = deliver_fault_signal,
    .send = send_from_kernel,
    .forget = forget_signals,
};

} // namespace

void enable_signals()
{
    g_signal_hooks.store(&s_hooks, std::memory_order_release);
}

Result<> send_signal(const abi::SignalInfo& information, Thread* thread)
{
    enable_signals();
    int number = information.number;
    QueuedSignal* node = nullptr;
    // In an interrupt the heap may be in use: the number has to do.
    if (!arch::in_interrupt() && information.code != abi::k_si_kernel) {
        node = make_node();
        if (node) {
            node->information = information;
        } else if (number >= abi::k_sigrtmin && information.code != abi::k_si_user) {
            return Errno::EAGAIN;
        }
    }
    Sent sent = enqueue(number, node, thread);
    if (sent == Sent::Queued)
        notify(number, thread);
    else if (node)
        release(*node);
    return {};
}

bool send_signal(QueuedSignal& signal, Thread* thread)
{
    enable_signals();
    if (signal.is_queued.load(std::memory_order_acquire))
        return false;
    switch (enqueue(signal.information.number, &signal, thread)) {
    case Sent::Queued:
        notify(signal.information.number, thread);
        return true;
    case Sent::Dropped:
        return true;
    case Sent::Merged:
        return false;
    }
    return false;
}

namespace {

/// Takes the first of `number` off the queue; null if none carries information.
QueuedSignal* unlink_first(QueuedSignal*& queue, int number, bool& another)
{
    QueuedSignal* found = nullptr;
    another = false;
    for (QueuedSignal** link = &queue; *link;) {
        QueuedSignal* signal = *link;
        if (signal->information.number == number) {
            if (found) {
                another = true;
                break;
            }
            found = signal;
            *link = signal->next;
            continue;
        }
        link = &signal->next;
    }
    return found;
}

} // namespace

abi::SignalInfo SignalTable::take(Thread& thread, SignalSet set)
{
    SignalSet of_thread = thread.signals().pending.load(std::memory_order_relaxed) & set;
    SignalSet of_process = g_process_signals.load(std::memory_order_relaxed) & set;
    abi::SignalInfo information;
    if ((of_thread | of_process) == 0)
        return information;
    // What the thread's own instructions caused comes first, then by number (signal(7)).
    constexpr SignalSet synchronous = signal_bit(abi::k_sigsegv) | signal_bit(abi::k_sigbus) | signal_bit(abi::k_sigill)
        | signal_bit(abi::k_sigtrap) | signal_bit(abi::k_sigfpe) | signal_bit(abi::k_sigsys);
    SignalSet all = of_thread | of_process;
    if ((all & synchronous) != 0)
        all &= synchronous;
    int number = std::countr_zero(all) + 1;
    bool is_threads = (of_thread & signal_bit(number)) != 0;
    bool another = false;
    QueuedSignal* signal = unlink_first(is_threads ? thread.signals().queue : process_queue, number, another);
    if (!another)
        (is_threads ? thread.signals().pending : g_process_signals).fetch_and(~signal_bit(number));
    if (signal) {
        information = signal->information;
        release(*signal);
    } else {
        information.number = number;
        information.code = abi::k_si_kernel;
    }
    return information;
}

void withdraw_signal(QueuedSignal& signal, Thread* thread)
{
    Locked lock(g_signal_table.lock);
    QueuedSignal*& queue = thread ? thread->signals().queue : g_signal_table.process_queue;
    int number = signal.information.number;
    bool is_last = true;
    for (QueuedSignal** link = &queue; *link;) {
        if (*link == &signal) {
            *link = signal.next;
            signal.is_queued.store(false, std::memory_order_relaxed);
            continue;
        }
        if ((*link)->information.number == number)
            is_last = false;
        link = &(*link)->next;
    }
    if (is_last)
        (thread ? thread->signals().pending : g_process_signals).fetch_and(~signal_bit(number));
}

void forget_signals(Thread& thread)
{
    Locked lock(g_signal_table.lock);
    while (QueuedSignal* signal = thread.signals().queue) {
        thread.signals().queue = signal->next;
        release(*signal);
    }
    thread.signals().pending.store(0, std::memory_order_relaxed);
    OwnPtr<QueuedSignal>::adopt(std::exchange(thread.signals().spare, nullptr)) = nullptr;
}

abi::SignalInfo take_signal(SignalSet set)
{
    Locked lock(g_signal_table.lock);
    return g_signal_table.take(current(), set);
}

SignalSet pending_signals()
{
    return current().signals().pending.load(std::memory_order_relaxed)
        | g_process_signals.load(std::memory_order_relaxed);
}

WaitQueue& signal_arrivals()
{
    return s_arrivals;
}

Result<abi::SignalAction> signal_action(int number)
{
    if (number < 1 || number > abi::k_sigmax)
        return Errno::EINVAL;
    Locked lock(g_signal_table.lock);
    return g_signal_table.action(number);
}

Result<> set_signal_action(int number, const abi::SignalAction& action)
{
    if (number < 1 || number > abi::k_sigmax || number == abi::k_sigkill || number == abi::k_sigstop)
        return Errno::EINVAL;
    enable_signals();
    Locked lock(g_signal_table.lock);
    g_signal_table.action(number) = action;
    g_signal_table.action(number).mask &= ~(signal_bit(abi::k_sigkill) | signal_bit(abi::k_sigstop));
    if (!is_ignored(action, number))
        return {};
    // What is pending and now ignored is gone (POSIX).
    g_process_signals.fetch_and(~signal_bit(number));
    current().signals().pending.fetch_and(~signal_bit(number));
    for (QueuedSignal** queue : { &g_signal_table.process_queue, &current().signals().queue }) {
        bool another = true;
        while (another) {
            if (QueuedSignal* signal = unlink_first(*queue, number, another))
                release(*signal);
        }
    }
    return {};
}

} // namespace eremite
