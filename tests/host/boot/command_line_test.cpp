#include "boot/command_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace eremite;

namespace {

struct Parsed {
    std::vector<std::string> options, arguments, appended;
};

std::vector<std::string> words(std::string_view packed)
{
    std::vector<std::string> result;
    for_each_word(packed, [&](std::string_view word) { result.emplace_back(word); });
    return result;
}

Parsed parse(std::string_view text)
{
    std::vector<char> buffer(text.begin(), text.end());
    buffer.push_back('#'); // room for the last NUL, and no more
    CommandLine line = parse_command_line(buffer, text.size());
    return { words(line.options), words(line.arguments), words(line.appended) };
}

using Words = std::vector<std::string>;

} // namespace

TEST(CommandLine, SplitsOptionsFromArguments)
{
    Parsed line = parse("argv0=hello strace -- one two");
    EXPECT_EQ(line.options, (Words { "argv0=hello", "strace" }));
    EXPECT_EQ(line.arguments, (Words { "one", "two" }));
}

TEST(CommandLine, IsEmptyOfAnEmptyText)
{
    Parsed line = parse("");
    EXPECT_TRUE(line.options.empty());
    EXPECT_TRUE(line.arguments.empty());
    EXPECT_TRUE(parse("   \t ").options.empty());
    EXPECT_TRUE(parse(" -- ").arguments.empty());
}

TEST(CommandLine, TakesQuotesAnywhereInAWord)
{
    Parsed line = parse(R"(env=A="b c" -- "a \"quoted\" \\ word" "" x""y)");
    EXPECT_EQ(line.options, (Words { "env=A=b c" }));
    EXPECT_EQ(line.arguments, (Words { R"(a "quoted" \ word)", "", "xy" }));
}

TEST(CommandLine, ABackslashOutsideOfQuotesIsItself)
{
    EXPECT_EQ(parse(R"(-- a\b \n)").arguments, (Words { R"(a\b)", R"(\n)" }));
}

TEST(CommandLine, EndsAnOpenQuoteWithTheText)
{
    EXPECT_EQ(parse(R"(-- "a b)").arguments, (Words { "a b" }));
    EXPECT_EQ(parse(R"(-- "a\)").arguments, (Words { R"(a\)" }));
}

TEST(CommandLine, QuotedDashesAreAWord)
{
    Parsed line = parse(R"("--" a -- -- b)");
    EXPECT_EQ(line.options, (Words { "--", "a" }));
    EXPECT_EQ(line.arguments, (Words { "--", "b" }));
}

TEST(CommandLine, TakesWhatAMonitorAppendsOffTheArguments)
{
    Parsed line = parse("a -- b virtio_mmio.device=512@0xfeb00000:5 virtio_mmio.device=512@0xfeb00200:6");
    EXPECT_EQ(line.arguments, (Words { "b" }));
    EXPECT_EQ(line.appended.size(), 2u);
    Parsed argument = parse("-- virtio_mmio.device=x b");
    EXPECT_EQ(argument.arguments, (Words { "virtio_mmio.device=x", "b" }));
}

TEST(CommandLine, EndsAtANul)
{
    using namespace std::string_view_literals;
    EXPECT_EQ(parse("a b\0c d"sv).options, (Words { "a", "b" }));
}

TEST(CommandLine, MatchesOptionsByName)
{
    std::string_view value;
    EXPECT_TRUE(match_option("ip=1.2.3.4", "ip", value));
    EXPECT_EQ(value, "1.2.3.4");
    EXPECT_TRUE(match_option("strace", "strace", value));
    EXPECT_EQ(value, "");
    EXPECT_FALSE(match_option("ipv6=off", "ip", value));
    EXPECT_FALSE(match_option("i", "ip", value));
}
