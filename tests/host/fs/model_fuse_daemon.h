// A FUSE daemon that lives in the test: files in memory, and a way to misbehave at any message.
#pragma once

#include "device/fuse_transport.h"
#include "fs/fuse/protocol.h"
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace eremite {

class ModelFuseDaemon final : public FuseTransport {
public:
    struct Node {
        u32 mode { 0 };
        std::string data;
        std::map<std::string, u64> entries;
        u64 lookups { 0 };
        i64 modified { 1000 };
        u64 links { 1 };
    };

    ModelFuseDaemon()
    {
        m_tag = "model";
        m_max_transfer = 1 << 20;
        nodes[fuse::k_root_node].mode = 0040755;
    }

    std::map<u64, Node> nodes;
    u64 next_node { 2 };
    u64 open_handles { 0 };
    std::map<fuse::Opcode, unsigned> counts;
    u64 entry_seconds { 0 };
    bool readdirplus { false };
    /// May change an answer: header, then payload, joined. Its return is what arrives.
    std::function<std::string(fuse::Opcode, std::string)> meddle;
    bool dead { false };
    /// Takes requests, and answers none of them until answer_late().
    bool silent { false };

    u64 add(u64 directory, const std::string& name, u32 mode, std::string data = {})
    {
        const u64 node = next_node++;
        nodes[node].mode = mode;
        nodes[node].data = std::move(data);
        nodes[directory].entries[name] = node;
        return node;
    }

    /// Answers what nobody waits for any more: whatever its answers are written to must still be there.
    void answer_late()
    {
        for (Late& late : m_late) {
            ++late_answers;
            for (auto part : late.replies)
                std::memset(part.data(), 0xee, part.size());
        }
        m_late.clear();
    }
    unsigned late_answers { 0 };

    Result<usize> exchange(std::span<const std::span<const u8>> requests, std::span<const std::span<u8>> replies,
        OwnPtr<RequestMemory>& memory, Nanoseconds deadline) override
    {
        if (dead)
            return Errno::EIO;
        if (silent) {
            last_deadline = deadline;
            memory->on_late();
            m_late.push_back({ std::move(memory), { replies.begin(), replies.end() } });
            return Errno::ETIMEDOUT;
        }
        std::string request;
        for (auto part : requests)
            request.append(reinterpret_cast<const char*>(part.data()), part.size());
        fuse::InHeader header;
        std::memcpy(&header, request.data(), sizeof header);
        if (header.length != request.size())
            return Errno::EIO;
        ++counts[header.opcode];
        i32 error = 0;
        std::string payload = answer(header, request.substr(sizeof header), error);
        fuse::OutHeader out { .error = -error, .unique = header.unique };
        if (error != 0)
            payload.clear();
        out.length = static_cast<u32>(sizeof out + payload.size());
        std::string whole = as_text(out) + payload;
        if (meddle)
            whole = meddle(header.opcode, whole);
        usize done = 0;
        for (auto part : replies) {
            const usize count = std::min(part.size(), whole.size() - done);
            std::memcpy(part.data(), whole.data() + done, count);
            done += count;
        }
        return done;
    }

    Nanoseconds last_deadline {};

    Result<> send(std::span<const u8> message, Nanoseconds) override
    {
        if (dead)
            return Errno::EIO;
        fuse::InHeader header;
        fuse::ForgetIn forget;
        std::memcpy(&header, message.data(), sizeof header);
        std::memcpy(&forget, message.data() + sizeof header, sizeof forget);
        ++counts[header.opcode];
        nodes[header.node].lookups -= forget.lookups;
        return {};
    }

    u64 total_lookups() const
    {
        u64 sum = 0;
        for (auto& [number, node] : nodes)
            sum += node.lookups;
        return sum;
    }

private:
    struct Late {
        OwnPtr<RequestMemory> memory;
        std::vector<std::span<u8>> replies;
    };
    std::vector<Late> m_late;

    template<typename T> static std::string as_text(const T& value)
    {
        return { reinterpret_cast<const char*>(&value), sizeof value };
    }
    template<typename T> static T argument(const std::string& body)
    {
        T value;
        std::memcpy(&value, body.data(), sizeof value);
        return value;
    }

    fuse::Attr attributes(u64 number)
    {
        const Node& node = nodes[number];
        fuse::Attr result;
        result.inode = number;
        result.mode = node.mode;
        result.size = node.data.size();
        result.link_count = static_cast<u32>(node.links);
        result.modify_seconds = static_cast<u64>(node.modified);
        return result;
    }
    std::string entry(u64 number)
    {
        ++nodes[number].lookups;
        fuse::EntryOut out;
        out.node = number;
        out.entry_valid = entry_seconds;
        out.attributes = attributes(number);
        return as_text(out);
    }

    std::string answer(const fuse::InHeader& header, const std::string& body, i32& error)
    {
        using enum fuse::Opcode;
        Node& node = nodes[header.node];
        const auto name_after = [&](usize offset) { return std::string(body.c_str() + offset); };
        switch (header.opcode) {
        case Init: {
            fuse::InitOut out;
            out.major = 7;
            out.minor = 31;
            out.flags = fuse::k_init_max_pages | (readdirplus ? fuse::k_init_readdirplus : 0);
            out.max_write = 1 << 20;
            out.max_pages = 256;
            return as_text(out);
        }
        case Lookup: {
            auto at = node.entries.find(name_after(0));
            if (at == node.entries.end()) {
                error = 2;
                return {};
            }
            return entry(at->second);
        }
        case GetAttributes:
            return as_text(fuse::AttrOut { .attributes = attributes(header.node) });
        case SetAttributes: {
            auto wanted = argument<fuse::SetAttrIn>(body);
            if ((wanted.valid & fuse::k_set_size) != 0)
                node.data.resize(wanted.size);
            if ((wanted.valid & fuse::k_set_mode) != 0)
                node.mode = wanted.mode;
            ++node.modified;
            return as_text(fuse::AttrOut { .attributes = attributes(header.node) });
        }
        case Create: {
            const u64 made = add(header.node, name_after(sizeof(fuse::CreateIn)), argument<fuse::CreateIn>(body).mode);
            ++open_handles;
            return entry(made) + as_text(fuse::OpenOut { .handle = 7 });
        }
        case MakeDirectory:
            return entry(add(header.node, name_after(8), 0040000 | argument<fuse::MakeDirectoryIn>(body).mode));
        case Open:
        case OpenDirectory:
            ++open_handles;
            return as_text(fuse::OpenOut { .handle = 5 });
        case Release:
        case ReleaseDirectory:
            --open_handles;
            return {};
        case Read: {
            auto wanted = argument<fuse::ReadIn>(body);
            return wanted.offset >= node.data.size() ? std::string() : node.data.substr(wanted.offset, wanted.size);
        }
        case Write: {
            auto wanted = argument<fuse::ReadIn>(body);
            node.data.resize(std::max<usize>(node.data.size(), wanted.offset + wanted.size));
            node.data.replace(wanted.offset, wanted.size, body.substr(sizeof wanted, wanted.size));
            ++node.modified;
            return as_text(fuse::WriteOut { .size = wanted.size });
        }
        case ReadDirectory: {
            std::string out;
            u64 position = 0;
            for (auto& [name, number] : node.entries) {
                if (++position <= argument<fuse::ReadIn>(body).offset)
                    continue;
                out += as_text(fuse::Dirent {
                    .inode = number, .next = position, .name_length = static_cast<u32>(name.size()), .type = 8 });
                out += name;
                out.resize(align_up(out.size(), 8));
            }
            return out;
        }
        case ReadDirectoryPlus: {
            std::string out;
            u64 position = 0;
            auto wanted = argument<fuse::ReadIn>(body);
            for (auto& [name, number] : node.entries) {
                if (++position <= wanted.offset)
                    continue;
                if (out.size() + align_up(sizeof(fuse::DirentPlus) + name.size(), 8) > wanted.size)
                    break;
                out += entry(number);
                out += as_text(fuse::Dirent {
                    .inode = number, .next = position, .name_length = static_cast<u32>(name.size()), .type = 8 });
                out += name;
                out.resize(align_up(out.size(), 8));
            }
            return out;
        }
        case Unlink:
            node.entries.erase(name_after(0));
            return {};
        case Rename: {
            const std::string from = name_after(8);
            const std::string to = name_after(8 + from.size() + 1);
            nodes[argument<fuse::RenameIn>(body).directory].entries[to] = node.entries[from];
            node.entries.erase(from);
            return {};
        }
        case Sync:
        case Destroy:
            return {};
        default:
            error = 38;
            return {};
        }
    }
};

} // namespace eremite
