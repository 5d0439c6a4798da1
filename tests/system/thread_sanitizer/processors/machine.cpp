#include <array>
#include <condition_variable>
#include <mutex>

#include <pthread.h>
#include <sched.h>

#include "machine.h"

#include "arch/clock.h"
#include "arch/context.h"
#include "arch/interrupt.h"
#include "arch/platform.h"
#include "base/component.h"
#include "mm/kernel_stack.h"
#include "mm/tlb.h"
#include "sched/scheduler.h"

extern "C" {
extern const eremite::Component __eremite_component_processors;
}

namespace eremite {

namespace {

struct Processor {
    arch::PerCpu block;
    // Its own thread's at any time.
    bool interrupts_enabled { false };
    Nanoseconds deadline { Nanoseconds::max() };
    // What others reach.
    std::mutex mutex;
    std::condition_variable changed;
    bool is_called { false };
};

/// A thread of the process that runs one of the kernel's. It lies where the kernel believes its stack to be.
struct HostThread {
    std::mutex mutex;
    std::condition_variable changed;
    Processor* given { nullptr };
    bool is_over { false };
    bool is_started { false };
    void (*entry)(void*) { nullptr };
    void* argument { nullptr };
};

constexpr u64 k_stack_size = 64 * 1024;
static_assert(sizeof(HostThread) < k_stack_size / 2);

// Never destroyed: they go on until the process ends.
std::array<Processor, model::k_processors>& s_processors = *new std::array<Processor, model::k_processors>;
thread_local Processor* t_processor = nullptr;
thread_local HostThread* t_self = nullptr;

HostThread& thread_of_stack(u64 top)
{
    return *reinterpret_cast<HostThread*>(align_down(top - 1, k_stack_size));
}

/// Until somebody gives a processor to `self`, which may be its end.
void wait_for_processor(HostThread& self)
{
    {
        std::unique_lock lock(self.mutex);
        self.changed.wait(lock, [&] { return self.given || self.is_over; });
        if (!self.is_over) {
            t_processor = std::exchange(self.given, nullptr);
            return;
        }
    }
    self.~HostThread();
    std::free(&self);
    pthread_exit(nullptr);
}

void* run(void* argument)
{
    t_self = static_cast<HostThread*>(argument);
    wait_for_processor(*t_self);
    t_self->entry(t_self->argument);
    return nullptr;
}

void give(HostThread& thread, Processor& processor)
{
    std::lock_guard lock(thread.mutex);
    thread.given = &processor;
    thread.changed.notify_one();
    if (std::exchange(thread.is_started, true))
        return;
    pthread_t created;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    ASSERT(pthread_create(&created, &attributes, run, &thread) == 0);
    pthread_attr_destroy(&attributes);
}

/// The interrupts that are due, if they are enabled.
void take_interrupts()
{
    while (t_processor->interrupts_enabled) {
        Processor& processor = *t_processor;
        bool is_called = false;
        {
            std::lock_guard lock(processor.mutex);
            is_called = std::exchange(processor.is_called, false);
        }
        bool is_due = processor.deadline <= arch::now();
        if (!is_called && !is_due)
            return;
        processor.interrupts_enabled = false;
        ++processor.block.interrupt_depth;
        if (is_due) {
            processor.deadline = Nanoseconds::max();
            timer_interrupt();
        }
        --processor.block.interrupt_depth;
        processor.interrupts_enabled = true;
        if (processor.block.preempt_count == 0
            && (processor.block.pending.load(std::memory_order_relaxed) & arch::k_pending_reschedule) != 0)
            reschedule_if_pending(); // perhaps on another processor afterwards
    }
}

} // namespace

namespace model {

void start_machine()
{
    Processor& first = s_processors[0];
    first.block.self = &first.block;
    t_processor = &first;
    VirtualRange stack = allocate_kernel_stack().value();
    t_self = &thread_of_stack(stack.end().value());
    t_self->is_started = true;
    initialize_scheduler(stack);
    arch::enable_interrupts();
    ASSERT(!__eremite_component_processors.init().is_error());
    ASSERT(online_cpu_count() == k_processors);
}

void interrupt_point()
{
    take_interrupts();
}

} // namespace model

// --- What the scheduler asks of the memory manager

Result<VirtualRange> allocate_kernel_stack()
{
    void* memory = std::aligned_alloc(k_stack_size, k_stack_size);
    if (!memory)
        return Errno::ENOMEM;
    ::new (memory) HostThread;
    return VirtualRange { VirtualAddress(reinterpret_cast<u64>(memory)), k_stack_size };
}

void free_kernel_stack(VirtualRange stack)
{
    HostThread& thread = thread_of_stack(stack.end().value());
    bool is_started = false;
    {
        std::lock_guard lock(thread.mutex);
        is_started = thread.is_started;
        thread.is_over = true;
        thread.changed.notify_one();
    }
    if (is_started)
        return; // it does the rest
    thread.~HostThread();
    std::free(&thread);
}

void enable_remote_invalidation() { }

} // namespace eremite

namespace eremite::arch {

// --- The processor

[[gnu::noinline]] PerCpu& this_cpu()
{
    asm volatile(""); // or callers would be told that it always says the same
    return t_processor->block;
}

bool interrupts_enabled()
{
    return t_processor->interrupts_enabled;
}

void enable_interrupts()
{
    t_processor->interrupts_enabled = true;
    take_interrupts();
}

bool disable_interrupts()
{
    return std::exchange(t_processor->interrupts_enabled, false);
}

void wait_for_interrupt()
{
    Processor& processor = *t_processor;
    {
        std::unique_lock lock(processor.mutex);
        auto is_called = [&] { return processor.is_called; };
        if (processor.deadline == Nanoseconds::max())
            processor.changed.wait(lock, is_called);
        else
            processor.changed.wait_for(lock, std::chrono::nanoseconds((processor.deadline - now()).value()), is_called);
    }
    enable_interrupts();
}

void relax()
{
    sched_yield();
}

void send_reschedule(u32 cpu)
{
    Processor& processor = s_processors[cpu];
    std::lock_guard lock(processor.mutex);
    processor.is_called = true;
    processor.changed.notify_one();
}

void set_timer(Nanoseconds deadline)
{
    t_processor->deadline = deadline;
}

// --- Contexts

void switch_context(Context& from, Context& to)
{
    HostThread& self = *t_self;
    from.stack_pointer = reinterpret_cast<u64>(&self);
    give(*reinterpret_cast<HostThread*>(to.stack_pointer), *std::exchange(t_processor, nullptr));
    wait_for_processor(self);
}

void prepare_context(Context& context, u64 stack_top, void (*entry)(void*), void* argument)
{
    HostThread& thread = thread_of_stack(stack_top);
    thread.entry = entry;
    thread.argument = argument;
    context.stack_pointer = reinterpret_cast<u64>(&thread);
}

void enter_application(u64, u64, u64)
{
    ASSERT_NOT_REACHED();
}

u64 thread_pointer()
{
    return 0;
}
void set_thread_pointer(u64) { }
usize vector_state_size()
{
    return 64;
}
void save_vector_state(void*) { }
void restore_vector_state(const void*) { }
void initialize_vector_state(void*) { }

// --- More processors

u32 processor_count()
{
    return model::k_processors;
}

Result<> start_processor(u32 cpu, u64 stack_top, void (*entry)(void*), void* argument)
{
    Processor& processor = s_processors[cpu];
    processor.block.self = &processor.block;
    processor.block.id = cpu;
    HostThread& thread = thread_of_stack(stack_top);
    thread.entry = entry;
    thread.argument = argument;
    give(thread, processor);
    return {};
}

} // namespace eremite::arch
