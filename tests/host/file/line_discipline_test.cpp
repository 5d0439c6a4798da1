// The C++ library needs errno's macros, which the kernel's headers take away: it comes first.
#include <cstdio>
#include <gtest/gtest.h>
#include <string>
#include <thread>

#include "file/line_discipline.h"

using namespace eremite;

namespace {

std::string type(LineDiscipline& discipline, std::string_view keys)
{
    std::string echo;
    for (char key : keys)
        echo += discipline.type(static_cast<u8>(key)).text();
    return echo;
}

std::string read(LineDiscipline& discipline, usize size = 100)
{
    std::string text(size, '\0');
    text.resize(discipline.read({ reinterpret_cast<u8*>(text.data()), text.size() }));
    return text;
}

} // namespace

TEST(LineDiscipline, GivesWholeLinesOnly)
{
    LineDiscipline discipline;
    EXPECT_EQ(type(discipline, "abc"), "abc");
    EXPECT_FALSE(discipline.is_readable());
    EXPECT_EQ(type(discipline, "\r"), "\r\n");
    type(discipline, "second\n");
    EXPECT_EQ(read(discipline), "abc\n");
    EXPECT_EQ(read(discipline, 3), "sec");
    EXPECT_EQ(read(discipline), "ond\n");
    EXPECT_FALSE(discipline.is_readable());
}

TEST(LineDiscipline, Edits)
{
    LineDiscipline discipline;
    EXPECT_EQ(type(discipline, "ab\x7f"), "ab\b \b");
    type(discipline,
        "\xc3\xa4\x7f"
        "c\n"); // a character of two bytes goes as one
    EXPECT_EQ(read(discipline), "ac\n");
    type(discipline, "gone\x15kept\n");
    EXPECT_EQ(read(discipline), "kept\n");
    type(discipline, "one two\x17three\n");
    EXPECT_EQ(read(discipline), "one three\n");
    EXPECT_EQ(type(discipline, "\x7f"), ""); // nothing to erase
}

TEST(LineDiscipline, EndOfFile)
{
    LineDiscipline discipline;
    type(discipline, "\x04");
    EXPECT_TRUE(discipline.is_readable());
    EXPECT_EQ(read(discipline), "");
    EXPECT_FALSE(discipline.is_readable());
    type(discipline, "part\x04");
    EXPECT_EQ(read(discipline, 4), "part");
    EXPECT_FALSE(discipline.is_readable());
}

TEST(LineDiscipline, Signals)
{
    LineDiscipline discipline;
    type(discipline, "lost");
    auto effect = discipline.type(3);
    EXPECT_EQ(effect.signal, 2);
    EXPECT_EQ(effect.text(), "^C");
    EXPECT_EQ(discipline.type(28).signal, 3);
    type(discipline, "\n");
    EXPECT_EQ(read(discipline), "\n");
}

TEST(LineDiscipline, RawModeGivesBytesAtOnce)
{
    LineDiscipline discipline;
    type(discipline, "ab");
    auto settings = discipline.settings();
    settings.local_flags = 0;
    discipline.set_settings(settings);
    EXPECT_EQ(read(discipline), "ab");
    EXPECT_EQ(type(discipline, "\x03\x04x"), "");
    EXPECT_EQ(read(discipline), "\x03\x04x");
}

TEST(LineDiscipline, AFullQueueStillTakesTheEndOfTheLine)
{
    LineDiscipline discipline;
    for (int i = 0; i < 10000; ++i)
        discipline.type('x');
    type(discipline, "\n");
    EXPECT_EQ(discipline.available(), 4094u);
    EXPECT_EQ(read(discipline, 5000).back(), '\n');
}
