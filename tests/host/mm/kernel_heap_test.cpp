#include <gtest/gtest.h>

#include "arch/host/machine.h"
#include "mm/kernel_heap.h"

#include <cstring>
#include <random>
#include <vector>

using namespace eremite;

TEST(KernelHeap, RandomUseKeepsObjectsApartAndAligned)
{
    host_machine();
    usize free_before = frame_statistics().free;
    KernelHeap heap;
    heap.set_secret(0x1234'5678'9abc'def0);
    struct Object {
        u8* memory;
        usize size;
        u8 mark;
    };
    std::vector<Object> objects;
    std::mt19937 random(2);
    auto drop = [&](usize i) {
        for (usize k = 0; k < objects[i].size; ++k)
            ASSERT_EQ(objects[i].memory[k], objects[i].mark);
        heap.free(objects[i].memory, objects[i].size);
        objects[i] = objects.back();
        objects.pop_back();
    };
    for (unsigned step = 0; step < 30000; ++step) {
        if (random() % 100 < (step % 10000 < 5000 ? 60 : 40)) {
            usize size = 1 + random() % (random() % 10 == 0 ? 20000 : 700);
            usize alignment = usize { 1 } << random() % 8;
            auto* memory = static_cast<u8*>(heap.allocate(size, alignment));
            ASSERT_NE(memory, nullptr);
            ASSERT_EQ(reinterpret_cast<u64>(memory) % alignment, 0u);
            u8 mark = static_cast<u8>(random());
            memset(memory, mark, size);
            objects.push_back({ memory, size, mark });
        } else if (!objects.empty()) {
            drop(random() % objects.size());
        }
    }
    while (!objects.empty())
        drop(objects.size() - 1);
    EXPECT_EQ(heap.statistics().slab_objects, 0u);
    EXPECT_EQ(heap.statistics().large_frames, 0u);
    heap.release_empty_slabs();
    EXPECT_EQ(heap.statistics().slab_frames, 0u);
    EXPECT_EQ(frame_statistics().free, free_before);
}

TEST(KernelHeapDeathTest, NoticesMisuse)
{
    host_machine();
    KernelHeap heap;
    heap.set_secret(77);
    void* object = heap.allocate(100, 16);
    void* other = heap.allocate(100, 16);
    EXPECT_DEATH(heap.free(object, 400), "assertion failed"); // another size
    EXPECT_DEATH(heap.free(static_cast<u8*>(object) + 16, 100), "assertion failed"); // no slot begins there
    EXPECT_DEATH(
        {
            heap.free(object, 100);
            heap.free(object, 100);
        },
        "assertion failed");
    EXPECT_DEATH(
        { // an underflow into the header
            memset(reinterpret_cast<void*>(reinterpret_cast<u64>(object) & ~u64 { 4095 }), 0x41, 64);
            heap.free(object, 100);
        },
        "assertion failed");
    heap.free(object, 100);
    heap.free(other, 100);
    heap.release_empty_slabs();
}
