// image: a program in the forms in which images are handed on.
#include "commands.h"

#include "archive.h"
#include "builder.h"
#include "elf_file.h"
#include "inspection.h"
#include "process.h"
#include "qemu.h"

#include <nlohmann/json.hpp>

namespace tool {

namespace {

using Json = nlohmann::ordered_json;

struct ImageArguments {
    std::string app;
    std::string arch = "x86_64";
    std::string isolation;
    std::string root;
    std::string program;
    std::string format = "elf";
    std::string output;
    Strings command;
};

std::span<const std::uint8_t> bytes_of(const std::string& text)
{
    return { reinterpret_cast<const std::uint8_t*>(text.data()), text.size() };
}

Bytes stripped(const Path& image)
{
    const ScratchFolder scratch;
    const auto copy = scratch.path() / "stripped";
    strip_image(image, copy);
    return read_bytes(copy);
}

/// The ELF file without symbols and section headers, which nobody who boots it reads, and beside it what one needs to
/// know to boot it.
void write_elf(const Path& image, Arch arch, const Path& output)
{
    const auto content = stripped(image);
    write_file(output, content);
    std::filesystem::permissions(output, std::filesystem::perms(0755));
    const Json manifest {
        { "name", output.filename().string() },
        { "arch", name_of(arch) },
        { "size", content.size() },
        { "sha256", sha256(content) },
        { "boot",
            arch == Arch::x86_64 ? Json::array({ "pvh", "eremite-loader" })
                                 : Json::array({ "arm64 Image (--format raw)", "eremite-loader" }) },
        { "command_line", "kernel options, then --, then the program's arguments: docs/boot.md" },
    };
    write_file(output.string() + ".json", manifest.dump(2) + "\n");
    fmt::print("{}\n{}.json\n", output.string(), output.string());
}

/// An OCI image layout (image-spec 1.0) as an archive: one layer that holds the image as /eremite.
void write_oci(const Path& image, Arch arch, const Strings& command, const std::string& name, const Path& output)
{
    TarWriter layer;
    const auto raw = arch == Arch::aarch64 ? Elf::load(image).flat_image() : stripped(image);
    layer.add_file("eremite", raw, 0755);
    const auto layer_bytes = layer.finish();

    Strings words;
    for (const auto& word : command)
        words.push_back(command_line_word(word));
    const std::map<std::string, std::string> labels {
        { "com.urunc.unikernel.binary", "/eremite" },
        { "com.urunc.unikernel.cmdline", words.empty() ? "" : "-- " + join(words, " ") },
        { "com.urunc.unikernel.hypervisor", "qemu" },
        { "com.urunc.unikernel.unikernelType", "eremite" },
        { "org.opencontainers.image.title", name },
    };
    Json entrypoint = Json::array({ "/eremite" });
    const Json config {
        { "architecture", arch == Arch::x86_64 ? "amd64" : "arm64" },
        { "os", "linux" },
        { "config", { { "Entrypoint", entrypoint }, { "Cmd", command }, { "Labels", labels } } },
        { "rootfs", { { "type", "layers" }, { "diff_ids", Json::array({ "sha256:" + sha256(layer_bytes) }) } } },
    };
    const auto config_text = config.dump();
    const auto descriptor = [](const char* type, std::span<const std::uint8_t> content) {
        return Json { { "mediaType", type }, { "digest", "sha256:" + sha256(content) }, { "size", content.size() } };
    };
    const Json manifest {
        { "schemaVersion", 2 },
        { "mediaType", "application/vnd.oci.image.manifest.v1+json" },
        { "config", descriptor("application/vnd.oci.image.config.v1+json", bytes_of(config_text)) },
        { "layers", Json::array({ descriptor("application/vnd.oci.image.layer.v1.tar", layer_bytes) }) },
        { "annotations", labels },
    };
    const auto manifest_text = manifest.dump();
    auto reference = descriptor("application/vnd.oci.image.manifest.v1+json", bytes_of(manifest_text));
    reference["annotations"] = { { "org.opencontainers.image.ref.name", "latest" } };
    const Json index { { "schemaVersion", 2 }, { "manifests", Json::array({ reference }) } };

    TarWriter archive;
    const auto blob
        = [&](std::span<const std::uint8_t> content) { archive.add_file("blobs/sha256/" + sha256(content), content); };
    archive.add_file("oci-layout", bytes_of(R"({"imageLayoutVersion":"1.0.0"})"));
    archive.add_file("index.json", bytes_of(index.dump()));
    archive.add_folder("blobs");
    archive.add_folder("blobs/sha256");
    blob(bytes_of(manifest_text));
    blob(bytes_of(config_text));
    blob(layer_bytes);
    write_file(output, archive.finish());
    fmt::print("{}\n", output.string());
}

void make_image(const ImageArguments& arguments)
{
    BuildOptions options;
    options.target.arch = arch_named(arguments.arch);
    options.target.isolation
        = arguments.isolation.empty() ? default_isolation(options.target.arch) : isolation_named(arguments.isolation);
    options.program = arguments.program;
    if (!arguments.root.empty())
        options.packed_root = std::filesystem::absolute(arguments.root);
    const auto app = find_app(arguments.app);
    const auto image = build_app(app, options);
    const auto elf = Elf::load(image);
    check_bootable(elf);
    const auto output
        = [&](const char* suffix) { return Path(arguments.output.empty() ? app.name + suffix : arguments.output); };
    if (arguments.format == "elf") {
        write_elf(image, elf.arch(), output(".elf"));
    } else if (arguments.format == "oci") {
        write_oci(image, elf.arch(), arguments.command, app.name, output(".oci.tar"));
    } else {
        if (elf.arch() != Arch::aarch64)
            fail("raw is the form that aarch64 boots; on x86_64 every monitor takes the ELF file: --format elf");
        write_file(output(".image"), elf.flat_image());
        fmt::print("{}\n", output(".image").string());
    }
}

} // namespace

void add_image_command(CLI::App& app, int& status)
{
    auto* command
        = app.add_subcommand("image", "Packs a program for others to boot: stripped ELF, arm64 Image, OCI image");
    auto arguments = std::make_shared<ImageArguments>();
    command->add_option("app", arguments->app, "a program, as for build")->required();
    command
        ->add_option(
            "--format", arguments->format, "elf (default), raw (aarch64) or oci (an OCI image layout as a tar)")
        ->check(CLI::IsMember({ "elf", "raw", "oci" }));
    command->add_option("--arch", arguments->arch, "x86_64 (default) or aarch64");
    command->add_option("--isolation", arguments->isolation, "none, stack (default) or mpk");
    command->add_option("--program", arguments->program, "which program, if the project makes several");
    command->add_option(
        "--root", arguments->root, "a folder or archive to pack into the image as its root file system");
    command->add_option("--cmd", arguments->command, "an argument of the program, for oci; repeatable")
        ->allow_extra_args(false);
    command->add_option("--output,-o", arguments->output, "the file to write; by default NAME and a suffix, here");
    command->callback([arguments, &status] {
        make_image(*arguments);
        status = 0;
    });
}

} // namespace tool
