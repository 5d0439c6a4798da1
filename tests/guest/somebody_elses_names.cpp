// The program may define whatever names it likes, also those that a kernel is likely to use, at global scope, in C and
// in C++: none of them meets one of the kernel's.
// oracle: native
#include "check.h"

#include <chrono>
#include <csignal>
#include <ctime>
#include <string>
#include <vector>

extern "C" {
int sys_read(int)
{
    return 1001;
}
int sys_write(int)
{
    return 1002;
}
void* kmalloc(unsigned long)
{
    return nullptr;
}
void kfree(void*) { }
int panic(const char*)
{
    return 1003;
}
int schedule(void)
{
    return 1004;
}
int copy_from_user(void)
{
    return 1005;
}
int log_info = 1006;
int current = 1007;
int boot_info = 1008;
int kernel_main(void)
{
    return 1009;
}
int interrupt_handler = 1010;
int fdt_check_header(void)
{
    return 1011;
}
int handle_fault(void)
{
    return 1012;
}
int stack_guard = 1013;

// Of libc's, which the kernel has functions of its own for: the program's go before either. (Labels, as headers differ
// in what they declare.)
int our_clock_gettime(clockid_t, timespec* time) __asm__("clock_gettime");
int our_clock_gettime(clockid_t, timespec* time)
{
    *time = { 1014, 0 };
    return 0;
}
int our_raise(int) __asm__("raise");
int our_raise(int)
{
    return 1015;
}
}

struct Thread {
    int x = 1;
    int run() { return 2001; }
};
class File {
public:
    int read() { return 2002; }
    virtual ~File() = default;
};
struct SpinLock {
    int lock() { return 2003; }
};
template<typename T> struct Result {
    T value;
};
struct Errno { };
namespace arch {
int this_cpu()
{
    return 2004;
}
} // namespace arch
namespace boost::intrusive {
int list()
{
    return 2005;
}
} // namespace boost::intrusive

int main()
{
    CHECK_EQ(sys_read(0), 1001);
    CHECK_EQ(sys_write(0), 1002);
    CHECK_EQ(kmalloc(1) == nullptr, 1);
    CHECK_EQ(panic("x"), 1003);
    CHECK_EQ(schedule(), 1004);
    CHECK_EQ(copy_from_user(), 1005);
    CHECK_EQ(log_info + current + boot_info, 1006 + 1007 + 1008);
    CHECK_EQ(kernel_main(), 1009);
    CHECK_EQ(interrupt_handler, 1010);
    CHECK_EQ(fdt_check_header(), 1011);
    CHECK_EQ(handle_fault(), 1012);
    CHECK_EQ(stack_guard, 1013);
    timespec now;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    CHECK_EQ(now.tv_sec, 1014);
    CHECK_EQ(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::seconds(1), 1014);
    CHECK(time(nullptr) > 1600000000);
    CHECK_EQ(raise(SIGKILL), 1015);
    Thread thread;
    File file;
    SpinLock lock;
    CHECK_EQ(thread.run(), 2001);
    CHECK_EQ(file.read(), 2002);
    CHECK_EQ(lock.lock(), 2003);
    CHECK_EQ(arch::this_cpu(), 2004);
    CHECK_EQ(boost::intrusive::list(), 2005);
    std::vector<std::string> strings;
    for (int i = 0; i < 1000; ++i)
        strings.push_back(std::to_string(i));
    CHECK_STR(strings[999].c_str(), "999");
    return check_result();
}
