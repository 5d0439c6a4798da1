#include "mender.h"

#include "reencode.h"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <map>
#include <set>

namespace tool {

namespace {

constexpr std::size_t k_jump_size = 5;
constexpr std::uint8_t k_trap = 0xcc;
constexpr std::uint8_t k_no_operation = 0x90;

/// What may stand between two instructions.
const std::vector<Code>& fillers()
{
    static const std::vector<Code> all { {}, { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 },
        { 0x0f, 0x1f, 0x40, 0x00 } };
    return all;
}

void append_distance(Code& code, std::uint64_t base, std::uint64_t target)
{
    const auto distance = static_cast<std::int32_t>(target - (base + code.size() + 4));
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&distance);
    code.insert(code.end(), bytes, bytes + 4);
}

bool holds_key_instruction(std::span<const std::uint8_t> code)
{
    return eremite::find_key_instruction(code).has_value();
}

/// The bytes of one executable segment, to be changed.
class Text {
public:
    Text(std::fstream& file, const ElfSegment& segment, std::span<const std::uint8_t> bytes)
        : m_file(&file)
        , m_offset(segment.offset)
        , m_address(segment.virtual_address)
        , m_bytes(bytes.begin(), bytes.end())
    {
    }
    bool contains(std::uint64_t address) const { return address - m_address < m_bytes.size(); }
    std::span<std::uint8_t> at(std::uint64_t address, std::size_t size)
    {
        return std::span(m_bytes).subspan(address - m_address, size);
    }
    /// Whether `size` bytes from `address` on, and what they make with those around them, hold none.
    bool is_clean(std::uint64_t address, std::size_t size) const
    {
        constexpr auto reach = eremite::k_key_instruction_reach - 1;
        const auto start = address - m_address;
        const auto first = start - std::min<std::uint64_t>(start, reach);
        const auto last = std::min<std::uint64_t>(start + size + reach, m_bytes.size());
        return !holds_key_instruction(std::span(m_bytes).subspan(first, last - first));
    }
    void write(std::uint64_t address, std::size_t size)
    {
        m_file->seekp(static_cast<std::streamoff>(m_offset + (address - m_address)));
        m_file->write(reinterpret_cast<const char*>(&m_bytes[address - m_address]), static_cast<std::streamsize>(size));
    }

private:
    std::fstream* m_file;
    std::uint64_t m_offset;
    std::uint64_t m_address;
    Code m_bytes;
};

/// The room that the link script left in a text.
struct Room {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
};

class Mender {
public:
    explicit Mender(const Path& image)
        : m_inspection(image)
        , m_file(image, std::ios::binary | std::ios::in | std::ios::out)
    {
        for (const auto& segment : elf().segments()) {
            if (segment.type == PT_LOAD && (segment.flags & PF_X))
                m_texts.emplace_back(m_file, segment, elf().bytes().subspan(segment.offset, segment.file_size));
        }
        for (const auto* prefix : { "__eremite_", "__eremite_kernel_" })
            m_rooms.push_back({ symbol(std::string(prefix) + "mend_start"), symbol(std::string(prefix) + "mend_end") });
        collect_labels();
    }

    MendResult mend()
    {
        MendResult result;
        for (const auto& finding : find_key_instructions(elf())) {
            if (finding.site != KeySite::None)
                continue;
            const auto reason = mend(finding);
            if (reason.empty())
                ++result.mended;
            else
                result.left.push_back(fmt::format(
                    "{} in {}: {}", name_of(finding.instruction), place_of(m_inspection, finding.address), reason));
        }
        return result;
    }

private:
    const Elf& elf() const { return m_inspection.elf(); }

    std::uint64_t symbol(std::string_view name) const
    {
        const auto& symbols = m_inspection.symbols();
        const auto found = std::ranges::find(symbols, name, &ImageSymbol::raw_name);
        return found == symbols.end() ? 0 : found->address;
    }

    bool is_code(std::uint64_t address) const
    {
        return std::ranges::any_of(m_texts, [=](const Text& text) { return text.contains(address); });
    }

    std::uint32_t word_at(std::uint64_t address) const
    {
        for (const auto& section : elf().sections()) {
            if ((section.flags & SHF_ALLOC) && section.type != SHT_NOBITS && address - section.address < section.size
                && section.size - (address - section.address) >= 4) {
                std::uint32_t word;
                std::memcpy(&word, &elf().content(section)[address - section.address], 4);
                return word;
            }
        }
        return 0;
    }

    /// Where control may arrive from elsewhere, as far as data tell: symbols, pointers, tables of jumps. Tables hold
    /// distances from their own start, which nobody tells us: each entry of the run that it is in could be it.
    void collect_labels()
    {
        for (const auto& each : m_inspection.symbols())
            m_labels.insert(each.address);
        const auto symbols = elf().symbols();
        for (const auto& section : elf().sections()) {
            if (section.type != SHT_RELA || section.info >= elf().sections().size())
                continue;
            const auto& of = elf().sections()[section.info];
            if (!(of.flags & SHF_ALLOC) || (of.flags & SHF_EXECINSTR))
                continue;
            std::vector<std::uint64_t> run;
            for (const auto& relocation : elf().relocations(section)) {
                if (relocation.symbol >= symbols.size())
                    continue;
                const auto value = symbols[relocation.symbol].value + static_cast<std::uint64_t>(relocation.addend);
                if (relocation.type == R_X86_64_64) {
                    m_labels.insert(value);
                    continue;
                }
                if (relocation.type != R_X86_64_PC32)
                    continue;
                // eremite_*: places in the kernel that are known by their very address.
                if (of.name.starts_with("eremite_"))
                    m_pinned.insert(value);
                if (!run.empty() && relocation.offset != run.back() + 4)
                    run.clear();
                run.push_back(relocation.offset);
                const auto distance = static_cast<std::int32_t>(word_at(relocation.offset));
                for (const auto base : run)
                    m_labels.insert(base + static_cast<std::uint64_t>(std::int64_t { distance }));
            }
        }
    }

    const std::vector<Instruction>& function_around(std::uint64_t address)
    {
        // From the symbol before it to the next function: instructions have no other beginning that is sure.
        const auto& symbols = m_inspection.symbols();
        auto after = std::ranges::upper_bound(symbols, address, {}, &ImageSymbol::address);
        auto before = after;
        while (before != symbols.begin() && !std::prev(before)->function)
            --before;
        while (after != symbols.end() && !after->function)
            ++after;
        const auto start = before == symbols.begin() ? address : std::prev(before)->address;
        const auto end = after == symbols.end() ? address + 64 : after->address;
        auto& known = m_functions[start];
        if (known.empty()) {
            known = disassemble(elf().path(), start, std::min(end, start + 0x40000));
            for (const auto& each : known) {
                if (each.target)
                    m_labels.insert(*each.target);
            }
        }
        return known;
    }

    /// Empty if it was mended, or the reason.
    std::string mend(const KeyFinding& finding)
    {
        const auto& code = function_around(finding.address);
        const auto covers = [&](const Instruction& each) {
            return each.address < finding.address + finding.length && each.end() > finding.address;
        };
        const auto first = std::ranges::find_if(code, covers);
        if (first == code.end() || first->address > finding.address)
            return "it is in data between functions, or the disassembler does not know the code: move it out of the "
                   "text";
        const auto last = std::ranges::find_if_not(first, code.end(), covers);
        if (last - first == 1 && is_itself(*first, finding))
            return "it is that instruction itself, and only the kernel may use it: remove it from the program";
        for (auto each = first; each != last; ++each) {
            if (write_in_place(*each))
                return {};
        }
        for (auto each = first; each != last; ++each) {
            if (is_far_branch(*each) && finding.address >= each->address)
                return redirect(*each);
        }
        if (const auto jump = jump_of_call(*first); jump && first->bytes.size() >= k_jump_size)
            return redirect_call(*first, *jump);
        return relocate(code, first, last);
    }

    static bool is_itself(const Instruction& instruction, const KeyFinding& finding)
    {
        // Only prefixes before the opcode.
        for (std::size_t i = 0; instruction.address + i < finding.address; ++i) {
            const auto byte = instruction.bytes[i];
            if ((byte & 0xf0) != 0x40 && byte != 0xf2 && byte != 0xf3 && byte != 0x66)
                return false;
        }
        return true;
    }

    /// A direct branch with 32 bits of distance, at its end.
    static bool is_far_branch(const Instruction& instruction)
    {
        const auto& bytes = instruction.bytes;
        return instruction.target
            && ((bytes.size() == 5 && (bytes[0] == 0xe8 || bytes[0] == 0xe9))
                || (bytes.size() == 6 && bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80));
    }

    Text& text_at(std::uint64_t address)
    {
        return *std::ranges::find_if(m_texts, [=](const Text& text) { return text.contains(address); });
    }

    /// The free part of the room that lies in the same text.
    Room room_near(std::uint64_t address)
    {
        for (const auto& room : m_rooms) {
            if (room.start == room.end || !is_code(room.start) || &text_at(room.start) != &text_at(address))
                continue;
            auto start = room.end;
            while (start > room.start && text_at(room.start).at(start - 1, 1)[0] == k_trap)
                --start;
            return { start, room.end };
        }
        return {};
    }

    /// Puts what make(address) gives into the room, and `replacement(address)` over `size` bytes at `site`; at the
    /// first place in the room where all of it is clean.
    template<typename Make, typename Replace>
    std::string place(std::uint64_t site, std::size_t size, Make make, Replace replacement)
    {
        auto& text = text_at(site);
        const auto room = room_near(site);
        if (room.start == room.end)
            return "there is no room to mend it: link with isolation mpk";
        const Code before(text.at(site, size).begin(), text.at(site, size).end());
        for (auto at = room.start; at < std::min(room.end, room.start + 64); ++at) {
            for (const auto& filler : fillers()) {
                const Code moved = make(at, filler);
                if (moved.empty() || at + moved.size() >= room.end)
                    continue;
                Code instead = replacement(at);
                instead.resize(size, k_trap);
                std::ranges::copy(moved, text.at(at, moved.size()).begin());
                std::ranges::copy(instead, text.at(site, size).begin());
                if (text.is_clean(at, moved.size()) && text.is_clean(site, size)) {
                    text.write(at, moved.size());
                    text.write(site, size);
                    return {};
                }
                std::ranges::fill(text.at(at, moved.size()), k_trap);
                std::ranges::copy(before, text.at(site, size).begin());
            }
        }
        return "no way was found to write it without those bytes: change the order of the functions around it, or its "
               "constants";
    }

    /// Exchanges base and index where that does it: nothing moves.
    bool write_in_place(const Instruction& instruction)
    {
        const auto other = with_operands_exchanged(instruction);
        if (!other || m_pinned.contains(instruction.address))
            return false;
        auto& text = text_at(instruction.address);
        const auto bytes = text.at(instruction.address, other->size());
        std::ranges::copy(*other, bytes.begin());
        if (text.is_clean(instruction.address, other->size())) {
            text.write(instruction.address, other->size());
            return true;
        }
        std::ranges::copy(instruction.bytes, bytes.begin());
        return false;
    }

    /// The branch goes to a jump in the room, which goes on to the target.
    std::string redirect(const Instruction& branch)
    {
        return place(
            branch.address, branch.bytes.size(),
            [&](std::uint64_t at, const Code& filler) {
                Code code = filler;
                code.push_back(0xe9);
                append_distance(code, at, *branch.target);
                return code;
            },
            [&](std::uint64_t at) {
                Code code(branch.bytes.begin(), branch.bytes.end() - 4);
                append_distance(code, branch.address, at);
                return code;
            });
    }

    /// A call by memory becomes a call of the room, where the jump by memory stands: the return address is the same.
    std::string redirect_call(const Instruction& call, const Code& jump)
    {
        const auto size = call.bytes.size();
        if (m_pinned.contains(call.address))
            return "the kernel knows it by its address";
        return place(
            call.address, size,
            [&](std::uint64_t at, const Code& filler) {
                Code code = filler;
                const auto there = at_distance(call, jump, at + filler.size());
                if (!there)
                    return Code {};
                code.insert(code.end(), there->begin(), there->end());
                return code;
            },
            [&](std::uint64_t at) {
                Code code(size - k_jump_size, k_no_operation);
                code.push_back(0xe8);
                append_distance(code, call.address, at);
                return code;
            });
    }

    /// Whether control may come to it other than from the instruction before.
    bool is_entered(const Instruction& instruction) const
    {
        return m_labels.contains(instruction.address) || instruction.mnemonic.starts_with("endbr");
    }

    /// A copy that does the same elsewhere; nothing if there is none.
    static std::optional<Code> moved(const Instruction& instruction, std::uint64_t to)
    {
        const auto& mnemonic = instruction.mnemonic;
        const auto& bytes = instruction.bytes;
        const bool jump = mnemonic.starts_with('j');
        if (mnemonic.starts_with("call") || mnemonic.starts_with("loop") || mnemonic.starts_with("xbegin")
            || mnemonic == "jrcxz" || mnemonic == "jecxz" || mnemonic.starts_with("syscall")
            || mnemonic.contains("bad"))
            return std::nullopt;
        Code code;
        if (jump && instruction.target) {
            if (mnemonic == "jmp") {
                code = { 0xe9 };
            } else {
                const auto condition = bytes.size() == 2 ? bytes[0] : bytes.size() == 6 ? bytes[1] : 0;
                if ((condition & 0xf0) != 0x70 && (condition & 0xf0) != 0x80)
                    return std::nullopt;
                code = { 0x0f, static_cast<std::uint8_t>(0x80 | (condition & 0xf)) };
            }
            append_distance(code, to, *instruction.target);
            return code;
        }
        return at_distance(instruction, bytes, to);
    }

    /// `code`, which is of the instruction, with what is relative to RIP as it must be at `to`.
    static std::optional<Code> at_distance(const Instruction& instruction, Code code, std::uint64_t to)
    {
        if (!instruction.target)
            return code;
        // The distance is the four bytes that say so.
        const auto distance = static_cast<std::int32_t>(*instruction.target - instruction.end());
        for (std::size_t i = 1; i + 4 <= code.size(); ++i) {
            if (std::memcmp(&code[i], &distance, 4) == 0) {
                const auto other = static_cast<std::int32_t>(*instruction.target - (to + code.size()));
                std::memcpy(&code[i], &other, 4);
                return code;
            }
        }
        return std::nullopt;
    }

    /// mov $constant, register, by the constant's complement: NOT changes no flags.
    static std::optional<Code> by_complement(const Instruction& instruction)
    {
        auto code = instruction.bytes;
        const std::size_t opcode = (code[0] & 0xf0) == 0x40 ? 1 : 0;
        const bool wide = opcode && (code[0] & 8);
        if ((code[opcode] & 0xf8) != 0xb8 || code.size() != opcode + 1 + (wide ? 8 : 4))
            return std::nullopt;
        for (std::size_t i = opcode + 1; i < code.size(); ++i)
            code[i] = static_cast<std::uint8_t>(~code[i]);
        Code result = code;
        if (opcode)
            result.push_back(code[0]);
        result.push_back(0xf7);
        result.push_back(static_cast<std::uint8_t>(0xd0 | (code[opcode] & 7)));
        return result;
    }

    /// The same in bytes that hold none, if there is a way.
    static std::optional<Code> in_other_bytes(const Instruction& instruction)
    {
        for (const auto& form : { by_complement(instruction), with_wider_displacement(instruction),
                 with_constant_in_register(instruction) }) {
            if (form && !holds_key_instruction(*form))
                return form;
        }
        return std::nullopt;
    }

    using Position = std::vector<Instruction>::const_iterator;

    std::string relocate(const std::vector<Instruction>& code, Position first, Position last)
    {
        const auto broken_first = first;
        const auto broken_last = last;
        // Of two, the second may stay where it is: calls have to, as their return address tells where they stand.
        const auto stays = [&](const Instruction& each) { return is_entered(each) || !moved(each, each.address); };
        if (last - first == 2 && stays(*std::prev(last)))
            --last;
        // Room for the jump: forwards, else backwards.
        const auto size = [&] { return std::prev(last)->end() - first->address; };
        while (size() < k_jump_size && last != code.end() && !is_entered(*last) && moved(*last, last->address)
            && last->address == std::prev(last)->end())
            ++last;
        while (size() < k_jump_size && first != code.begin() && !is_entered(*first)
            && moved(*std::prev(first), std::prev(first)->address))
            --first;
        if (size() < k_jump_size)
            return "it is too short to be moved";
        for (auto each = first; each != last; ++each) {
            if (each != first && is_entered(*each))
                return "a jump may lead between its bytes: compile that function with another -O";
            if (m_pinned.contains(each->address))
                return "the kernel knows it by its address";
            if (!moved(*each, each->address))
                return fmt::format("{} cannot be moved: compile that function with another -O", each->mnemonic);
        }
        const auto site = first->address;
        return place(
            site, size(),
            [&](std::uint64_t at, const Code& filler) {
                Code result;
                for (auto each = first; each != last; ++each) {
                    // What is made up of two gets something between them.
                    if (each > broken_first && each < broken_last)
                        result.insert(result.end(), filler.begin(), filler.end());
                    auto copy = moved(*each, at + result.size());
                    if (copy && broken_last - broken_first == 1 && each == broken_first && holds_key_instruction(*copy))
                        copy = in_other_bytes(*each);
                    if (!copy)
                        return Code {};
                    result.insert(result.end(), copy->begin(), copy->end());
                }
                result.push_back(0xe9);
                append_distance(result, at, std::prev(last)->end());
                return result;
            },
            [&](std::uint64_t at) {
                Code result { 0xe9 };
                append_distance(result, site, at);
                return result;
            });
    }

    Inspection m_inspection;
    std::fstream m_file;
    std::vector<Text> m_texts;
    std::vector<Room> m_rooms;
    std::set<std::uint64_t> m_labels;
    std::set<std::uint64_t> m_pinned;
    std::map<std::uint64_t, std::vector<Instruction>> m_functions;
};

} // namespace

std::string place_of(const Inspection& inspection, std::uint64_t address)
{
    const auto symbol = inspection.symbol_at(address);
    const auto* piece = inspection.piece_at(address);
    const auto place = symbol
        ? fmt::format("{}+{:#x}", inspection.symbols()[*symbol].name, address - inspection.symbols()[*symbol].address)
        : fmt::format("{:#x}", address);
    if (!piece)
        return place;
    return piece->object.empty() ? fmt::format("{} [{}]", place, piece->component)
                                 : fmt::format("{} [{}, {}]", place, piece->component, piece->object);
}

MendResult mend_image(const Path& image)
{
    return Mender(image).mend();
}

void verify_image(const Path& image)
{
    const auto stamp = Path(image.string() + ".verified");
    Fingerprint before;
    before.add_tree(image);
    if (before.matches(stamp))
        return;
    auto findings = verify_code(Elf::load(image));
    Strings left;
    if (!findings.stray.empty()) {
        left = mend_image(image).left;
        findings = verify_code(Elf::load(image));
    }
    if (!findings.is_good()) {
        const Inspection inspection(image);
        for (const auto& each : findings.has_keys ? findings.unchecked : std::vector<KeyFinding> {})
            left.push_back(fmt::format("{} in {}: the kernel does not check what follows it", name_of(each.instruction),
                place_of(inspection, each.address)));
        for (const auto& each : findings.stray) {
            const auto place = place_of(inspection, each.address);
            if (std::ranges::none_of(left, [&](const std::string& line) { return line.contains(place); }))
                left.push_back(fmt::format("{} in {}", name_of(each.instruction), place));
        }
        fail("{} holds what would undo the isolation by protection keys:\n  {}", image.string(), join(left, "\n  "));
    }
    Fingerprint after;
    after.add_tree(image);
    write_file(stamp, after.text() + "\n");
}

} // namespace tool
