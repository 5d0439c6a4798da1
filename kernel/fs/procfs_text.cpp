#include "fs/procfs_text.h"

#include "arch/clock.h"
#include "boot/options.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/procfs.h"
#include "mm/address_space.h"
#include "mm/frames.h"
#include "mm/page_fault.h"
#include "random/random.h"
#include "sched/clock.h"
#include "sched/scheduler.h"
#include "sched/thread.h"
#include "syscall/sys_process.h"

#include <algorithm>

namespace eremite {

namespace {

std::string_view program_name()
{
    return boot_option("argv0").value_or("app");
}

void command_line(TextSink& sink)
{
    const std::string_view nul("\0", 1);
    sink.write(program_name());
    sink.write(nul);
    for_each_word(boot_command_line().arguments, [&](std::string_view word) {
        sink.write(word);
        sink.write(nul);
    });
}

void environment(TextSink& sink)
{
    for_each_boot_option("env", [&](std::string_view entry) {
        sink.write(entry);
        sink.write({ "\0", 1 });
    });
}

/// The address range, in Linux's way: at least eight digits, no 0x.
void write_hexadecimal(TextSink& sink, u64 value, usize width)
{
    std::array<char, 16> text;
    for (usize i = 0; i < text.size(); ++i)
        text[i] = std::string_view("0123456789abcdef")[value >> ((15 - i) * 4) & 15];
    usize digits = 16;
    while (digits > width && text[16 - digits] == '0')
        --digits;
    sink.write({ std::span(text).subspan(16 - digits).data(), digits });
}

void maps(TextSink& sink)
{
    // Names of files are asked for without the address space's lock.
    struct Line {
        VirtualRange range;
        u8 protection;
        bool shared;
        MappingKind kind;
        u64 offset;
        const char* name;
        RefPtr<File> file;
    };
    Vector<Line> lines;
    const u64 expected = address_space().statistics().mappings + 16;
    if (lines.try_reserve(expected).is_error())
        return;
    address_space().for_each_mapping([&](const Mapping& mapping) {
        if (mapping.kind == MappingKind::Guard || lines.size() == expected)
            return;
        static_cast<void>(lines.try_append(Line { mapping.range, mapping.protection, mapping.shared, mapping.kind,
            mapping.offset, mapping.name, mapping.file }));
    });
    for (const Line& line : lines) {
        write_hexadecimal(sink, line.range.start.value(), 8);
        sink.write("-");
        write_hexadecimal(sink, line.range.end().value(), 8);
        const std::array<char, 6> rights { ' ', (line.protection & abi::k_prot_read) != 0 ? 'r' : '-',
            (line.protection & abi::k_prot_write) != 0 ? 'w' : '-',
            (line.protection & abi::k_prot_execute) != 0 ? 'x' : '-', line.shared ? 's' : 'p', ' ' };
        sink.write({ rights.data(), rights.size() });
        write_hexadecimal(sink, line.offset, 8);
        u64 inode = 0;
        if (line.file && line.file->inode())
            inode = line.file->inode()->number();
        format_to(sink, " 00:00 {} ", inode);
        if (line.file) {
            if (auto path = line.file->description(); !path.is_error())
                sink.write(path.value());
        } else if (line.kind == MappingKind::Heap) {
            sink.write("[heap]");
        } else if (line.kind == MappingKind::MainStack) {
            sink.write("[stack]");
        } else if (line.kind >= MappingKind::Image) {
            sink.write(program_path());
        }
        sink.write("\n");
    }
}

void status(TextSink& sink)
{
    const auto memory = address_space().statistics();
    const u64 resident = memory.resident * (k_page_size / 1024);
    format_to(
        sink, "Name:\t{}\nUmask:\t0022\nState:\tR (running)\nTgid:\t1\nNgid:\t0\nPid:\t1\nPPid:\t0\n", program_name());
    format_to(sink, "TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t0\n");
    format_to(sink, "VmPeak:\t{:8} kB\nVmSize:\t{:8} kB\nVmLck:\t{:8} kB\n", memory.mapped / 1024, memory.mapped / 1024,
        memory.locked / 1024);
    format_to(sink, "VmHWM:\t{:8} kB\nVmRSS:\t{:8} kB\nVmSwap:\t       0 kB\n", resident, resident);
    format_to(sink, "Threads:\t{}\n", ThreadTable::application_thread_count());
    format_to(sink, "Cpus_allowed_list:\t0-{}\n", online_cpu_count() - 1);
}

/// In clock ticks, of which Linux says there are 100 a second.
u64 ticks(Nanoseconds time)
{
    return static_cast<u64>(time.milliseconds() / 10);
}

Nanoseconds processor_time()
{
    Nanoseconds total;
    ThreadTable::for_each_application_thread([&](Thread& thread) {
        total = total + thread.cpu_time();
        return true;
    });
    return total;
}

void self_stat(TextSink& sink)
{
    const auto memory = address_space().statistics();
    format_to(sink, "1 ({}) R 0 1 1 0 -1 0 {} 0 0 0 {} 0 0 0 20 0 {} 0 0 {} {} 18446744073709551615", program_name(),
        memory.faults, ticks(processor_time()), ThreadTable::application_thread_count(), memory.mapped,
        memory.resident);
    for (int i = 0; i < 27; ++i)
        sink.write(" 0");
    sink.write("\n");
}

void statm(TextSink& sink)
{
    const auto memory = address_space().statistics();
    format_to(sink, "{} {} 0 0 0 {} 0\n", memory.mapped / k_page_size, memory.resident, memory.mapped / k_page_size);
}

void command_name(TextSink& sink)
{
    sink.write(current().name());
    sink.write("\n");
}

void limits(TextSink& sink)
{
    sink.write("Limit                     Soft Limit           Hard Limit           Units     \n");
    format_to(sink, "Max open files            {}                 {}              files     \n", fd_table().limit(),
        FdTable::k_hard_limit);
}

void mounts(TextSink& sink)
{
    RefPtr<Dentry> root = fs_context().root();
    Mounts::for_each([&](Mount& mount) {
        sink.write(mount.source);
        sink.write(" ");
        auto path = mount.point ? path_of(*mount.point, *root) : String::create("/");
        if (!path.is_error())
            sink.write(path.value());
        format_to(sink, " {} {},relatime 0 0\n", mount.file_system->type_name(),
            mount.file_system->is_read_only() ? "ro" : "rw");
    });
}

void memory_info(TextSink& sink)
{
    const FrameStatistics frames = frame_statistics();
    constexpr u64 kib = k_page_size / 1024;
    format_to(sink, "MemTotal:       {:8} kB\nMemFree:        {:8} kB\nMemAvailable:   {:8} kB\n", frames.total * kib,
        frames.free * kib, frames.free * kib);
    sink.write("Buffers:               0 kB\nCached:                0 kB\nSwapCached:            0 kB\n");
    sink.write("SwapTotal:             0 kB\nSwapFree:              0 kB\n");
    sink.write("HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
}

void processor_info(TextSink& sink)
{
    for (u32 cpu = 0; cpu < online_cpu_count(); ++cpu)
        format_to(sink, "processor\t: {}\n\n", cpu);
}

void uptime(TextSink& sink)
{
    const u64 hundredths = ticks(arch::now());
    format_to(sink, "{}.{:02} 0.00\n", hundredths / 100, hundredths % 100);
}

void load_average(TextSink& sink)
{
    // No average is kept; the number of threads is true.
    format_to(sink, "0.00 0.00 0.00 1/{} 1\n", ThreadTable::application_thread_count());
}

void statistics(TextSink& sink)
{
    const u64 busy = ticks(processor_time());
    format_to(sink, "cpu  {} 0 0 0 0 0 0 0 0 0\n", busy);
    for (u32 cpu = 0; cpu < online_cpu_count(); ++cpu)
        format_to(sink, "cpu{} {} 0 0 0 0 0 0 0 0 0\n", cpu, busy / online_cpu_count());
    format_to(
        sink, "btime {}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n", (realtime_now() - arch::now()).seconds());
    if constexpr (k_has_keys)
        format_to(sink, "isolation_violations {}\n", g_isolation_violations.load(std::memory_order_relaxed));
}

void version(TextSink& sink)
{
    sink.write("Linux version ");
    sink.write(k_release);
    sink.write(" (eremite)\n");
}

void file_systems(TextSink& sink)
{
    sink.write("nodev\tproc\nnodev\ttmpfs\nnodev\tramfs\nnodev\tdevtmpfs\n");
    for (std::string_view name : { "virtiofs", "ext2" }) {
        if (find_file_system_type(name))
            format_to(sink, "{}{}\n", name == "virtiofs" ? "nodev\t" : "\t", name);
    }
}

void host_name_text(TextSink& sink)
{
    std::array<char, 65> name {};
    copy_host_name(name);
    sink.write(std::string_view(name.data()));
    sink.write("\n");
}

void release(TextSink& sink)
{
    sink.write(k_release);
    sink.write("\n");
}

void write_uuid(TextSink& sink, std::span<const u8, 16> bytes)
{
    for (usize i = 0; i < bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            sink.write("-");
        write_hexadecimal(sink, bytes[i], 2);
    }
    sink.write("\n");
}

std::array<u8, 16> random_uuid()
{
    std::array<u8, 16> bytes;
    random_fill(bytes);
    bytes[6] = static_cast<u8>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<u8>((bytes[8] & 0x3f) | 0x80);
    return bytes;
}

void uuid(TextSink& sink)
{
    write_uuid(sink, random_uuid());
}

void boot_id(TextSink& sink)
{
    static constinit SpinLock s_lock;
    static constinit std::array<u8, 16> s_id {};
    Locked lock(s_lock);
    if (s_id == std::array<u8, 16> {})
        s_id = random_uuid();
    write_uuid(sink, s_id);
}

template<u64 Value> void number(TextSink& sink)
{
    format_to(sink, "{}\n", Value);
}

constinit std::array s_files {
    ProcFile { "1/cmdline", command_line },
    ProcFile { "1/environ", environment },
    ProcFile { "1/maps", maps },
    ProcFile { "1/status", status },
    ProcFile { "1/stat", self_stat },
    ProcFile { "1/statm", statm },
    ProcFile { "1/comm", command_name },
    ProcFile { "1/limits", limits },
    ProcFile { "1/mounts", mounts },
    ProcFile { "meminfo", memory_info },
    ProcFile { "cpuinfo", processor_info },
    ProcFile { "uptime", uptime },
    ProcFile { "loadavg", load_average },
    ProcFile { "stat", statistics },
    ProcFile { "version", version },
    ProcFile { "filesystems", file_systems },
    ProcFile { "sys/kernel/hostname", host_name_text },
    ProcFile { "sys/kernel/osrelease", release },
    ProcFile { "sys/kernel/ostype", [](TextSink& sink) { sink.write("Linux\n"); } },
    ProcFile { "sys/kernel/pid_max", number<4194304> },
    ProcFile { "sys/kernel/random/uuid", uuid },
    ProcFile { "sys/kernel/random/boot_id", boot_id },
    ProcFile { "sys/kernel/random/entropy_avail", number<256> },
    ProcFile { "sys/vm/overcommit_memory", number<1> },
    ProcFile { "sys/vm/max_map_count", number<65530> },
    ProcFile { "sys/net/core/somaxconn", number<4096> },
    ProcFile { "sys/fs/file-max", number<FdTable::k_hard_limit> },
    ProcFile { "sys/fs/pipe-max-size", number<1048576> },
};

} // namespace

std::string_view program_path()
{
    // A static name, since nothing of the image is in the tree.
    const std::string_view name = program_name();
    return name.starts_with('/') ? name : std::string_view("/app");
}

void register_kernel_proc_files()
{
    for (ProcFile& file : s_files)
        register_proc_file(file);
}

} // namespace eremite
