#include <gtest/gtest.h>

#include "base/key_instructions.h"

#include <random>
#include <vector>

using namespace eremite;

namespace {

using Code = std::vector<u8>;

/// Encodings as an assembler makes them.
struct Sample {
    KeyInstruction instruction;
    Code bytes;
    usize opcode; // where it begins
};

const std::vector<Sample>& samples()
{
    using enum KeyInstruction;
    static const std::vector<Sample> all {
        { WriteRights, { 0x0f, 0x01, 0xef }, 0 },
        { RestoreState, { 0x0f, 0xae, 0x2f }, 0 }, // xrstor (%rdi)
        { RestoreState, { 0x49, 0x0f, 0xae, 0x6c, 0x24, 0x40 }, 1 }, // xrstor64 0x40(%r12)
        { RestoreState, { 0x0f, 0xae, 0xa8 + 0, 0, 1, 0, 0 }, 0 }, // xrstor 0x100(%rax)
        { RestoreSupervisorState, { 0x48, 0x0f, 0xc7, 0x1f }, 1 },
        { WriteModelRegister, { 0x0f, 0x30 }, 0 },
        { WriteModelRegister, { 0x0f, 0x01, 0xc6 }, 0 },
        { WriteModelRegister, { 0xf3, 0x0f, 0x01, 0xc6 }, 1 },
        { WriteModelRegister, { 0xc4, 0xe7, 0x7a, 0xf6, 0xc1, 0x80, 0, 0, 0xc0 }, 0 }, // wrmsrns %rcx, $EFER
        { WriteStateMask, { 0x0f, 0x01, 0xd1 }, 0 },
        { WriteControlRegister, { 0x0f, 0x22, 0xd8 }, 0 },
        { WriteControlRegister, { 0x44, 0x0f, 0x22, 0xc0 }, 1 }, // cr8
        { WriteDebugRegister, { 0x0f, 0x23, 0xf8 }, 0 },
        { WriteMachineStatus, { 0x0f, 0x01, 0xf0 }, 0 },
        { WriteMachineStatus, { 0x0f, 0x01, 0x30 }, 0 },
        { LoadGlobalTable, { 0x0f, 0x01, 0x14, 0x24 }, 0 },
        { LoadInterruptTable, { 0x0f, 0x01, 0x5d, 0xf0 }, 0 },
        { LoadLocalTable, { 0x0f, 0x00, 0xd0 }, 0 },
        { LoadTask, { 0x0f, 0x00, 0xd8 }, 0 },
        { LoadTask, { 0x0f, 0x00, 0x18 }, 0 },
        { WriteGsBase, { 0xf3, 0x48, 0x0f, 0xae, 0xd8 }, 2 },
        { WriteGsBase, { 0xf3, 0x2e, 0x49, 0x0f, 0xae, 0xdf }, 3 },
        { SwapGs, { 0x0f, 0x01, 0xf8 }, 0 },
    };
    return all;
}

} // namespace

TEST(KeyInstructions, AreFoundAtEveryOffset)
{
    for (const Sample& sample : samples()) {
        for (usize before = 0; before < 20; ++before) {
            Code code(before, 0x90);
            code.insert(code.end(), sample.bytes.begin(), sample.bytes.end());
            auto found = find_key_instruction(code);
            ASSERT_TRUE(found) << name_of(sample.instruction);
            EXPECT_EQ(found->instruction, sample.instruction);
            EXPECT_EQ(found->offset, before + sample.opcode);
            EXPECT_LE(found->length, k_key_instruction_reach);
            EXPECT_FALSE(find_key_instruction(code, found->offset + 1));
        }
    }
}

TEST(KeyInstructions, AreFoundInsideOthers)
{
    // mov $0xef010f, %eax: as a jump to its second byte would run it.
    const Code immediate { 0xb8, 0x0f, 0x01, 0xef, 0x00 };
    auto found = find_key_instruction(immediate);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->instruction, KeyInstruction::WriteRights);
    EXPECT_EQ(found->offset, 1u);
    // Across two: mov $0x0fffffff, %ecx; and 0x20(%rsi), %ecx.
    const Code two { 0xb9, 0xff, 0xff, 0xff, 0x0f, 0x23, 0x4e, 0x20 };
    ASSERT_TRUE(find_key_instruction(two));
    EXPECT_EQ(find_key_instruction(two)->instruction, KeyInstruction::WriteDebugRegister);
}

TEST(KeyInstructions, WhatIsHarmlessIsNot)
{
    const std::vector<Code> harmless {
        { 0x0f, 0x01, 0xee }, // rdpkru
        { 0x0f, 0x01, 0xd0 }, // xgetbv
        { 0x0f, 0x01, 0xf9 }, // rdtscp
        { 0x0f, 0x01, 0x3f }, // invlpg (%rdi)
        { 0x0f, 0x01, 0x00 }, // sgdt
        { 0x0f, 0x01, 0x08 }, // sidt
        { 0x0f, 0xae, 0xe8 }, // lfence
        { 0x0f, 0xae, 0xf0 }, // mfence
        { 0x0f, 0xae, 0x0f }, // fxrstor: restores no PKRU
        { 0x0f, 0xae, 0x37 }, // xsaveopt
        { 0x0f, 0xc7, 0x0f }, // cmpxchg8b
        { 0xf3, 0x48, 0x0f, 0xae, 0xd0 }, // wrfsbase: the application's own
        { 0xf3, 0x48, 0x0f, 0xae, 0xc8 }, // rdgsbase
        { 0x0f, 0x20, 0xc0 }, // mov %cr0, %rax
        { 0x0f, 0x21, 0xc0 }, // mov %db0, %rax
        { 0x0f, 0x32 }, // rdmsr
        { 0x0f, 0x31 }, // rdtsc
        { 0x0f, 0x00, 0xc8 }, // str
        { 0x0f, 0x1f, 0x44, 0x00, 0x00 }, // nop
        { 0xc4, 0xe2, 0xfb, 0xf6, 0xc1 }, // mulx
    };
    for (const Code& code : harmless)
        EXPECT_FALSE(find_key_instruction(code)) << std::hex << unsigned { code[1] } << ' ' << unsigned { code[2] };
}

TEST(KeyInstructions, AreNotSeenWhereTheyAreCutOff)
{
    for (const Sample& sample : samples()) {
        auto whole = find_key_instruction(sample.bytes);
        ASSERT_TRUE(whole);
        for (usize size = 0; size < whole->offset + whole->length; ++size)
            EXPECT_FALSE(find_key_instruction(std::span(sample.bytes).first(size)));
        // And so many bytes beyond a border are enough.
        EXPECT_TRUE(find_key_instruction(std::span(sample.bytes).first(whole->offset + whole->length)));
    }
}

/// Every pair of adjacent windows that overlap by the reach finds what one look finds.
TEST(KeyInstructions, WindowsThatOverlapMissNothing)
{
    std::mt19937 random(1);
    constexpr usize page = 64;
    for (int turn = 0; turn < 200; ++turn) {
        Code code(8 * page);
        for (u8& byte : code)
            byte = random() % 3 == 0 ? 0x0f : static_cast<u8>(random());
        std::vector<usize> whole;
        for (usize at = 0;;) {
            auto found = find_key_instruction(code, at);
            if (!found)
                break;
            whole.push_back(found->offset);
            at = found->offset + 1;
        }
        std::vector<usize> by_page;
        for (usize start = 0; start < code.size(); start += page) {
            usize end = std::min(start + page + k_key_instruction_reach - 1, code.size());
            auto window = std::span(code).first(end);
            for (usize at = start;;) {
                auto found = find_key_instruction(window, at);
                if (!found || found->offset >= start + page)
                    break;
                by_page.push_back(found->offset);
                at = found->offset + 1;
            }
        }
        EXPECT_EQ(whole, by_page);
    }
}
