#include <gtest/gtest.h>

#include "drivers/virtio/slot_option.h"

using namespace eremite;
using namespace eremite::virtio;

TEST(SlotOption, ReadsWhatMonitorsWrite)
{
    auto slot = parse_slot_option("512@0xfeb00e00:12");
    ASSERT_TRUE(slot.has_value());
    EXPECT_EQ(slot.value().registers.start.value(), 0xfeb00e00u);
    EXPECT_EQ(slot.value().registers.length, 512u);
    EXPECT_EQ(slot.value().interrupt, 12u);
    EXPECT_EQ(parse_slot_option("4K@0xd0000000:5:1").value().registers.length, 4096u);
}

TEST(SlotOption, RefusesWhatIsNone)
{
    for (const char* text : { "", "512", "512@", "512@0x", "512@0x1000", "512@0x1000:", "@0x1000:1", "0@0x1000:1",
             "512@0xffffffffffffffff:1", "512@0x1000:1:", "512@0x1000:1x", "99999999999999999999@1:1", "2M@0:1" })
        EXPECT_TRUE(parse_slot_option(text).is_error()) << text;
}
