#include <gtest/gtest.h>

#include "mm/page_tree.h"

#include <map>
#include <random>

using namespace eremite;

TEST(PageTree, AgreesWithAMap)
{
    PageTree tree;
    std::map<u64, u64> model;
    std::mt19937_64 random(3);
    for (unsigned step = 0; step < 40000; ++step) {
        u64 index = random() >> (63 - random() % 54);
        if (random() % 2 == 0)
            index = random() % 300;
        switch (random() % 5) {
        case 0:
        case 1: {
            u64* entry = tree.ensure(index).value();
            ASSERT_EQ(*entry, model.contains(index) ? model[index] : 0);
            *entry = model[index] = step + 1;
            break;
        }
        case 2:
            tree.erase(index);
            model.erase(index);
            break;
        case 3: {
            u64* entry = tree.find(index);
            auto found = model.find(index);
            ASSERT_EQ(entry != nullptr, found != model.end());
            if (entry) {
                ASSERT_EQ(*entry, found->second);
            }
            break;
        }
        case 4: {
            u64 position = index;
            u64* entry = tree.next(position);
            auto found = model.lower_bound(index);
            ASSERT_EQ(entry != nullptr, found != model.end());
            if (entry) {
                ASSERT_EQ(position, found->first);
                ASSERT_EQ(*entry, found->second);
            }
            break;
        }
        }
    }
    EXPECT_EQ(tree.ensure(u64 { 1 } << 60).error(), Errno::EFBIG);
}
