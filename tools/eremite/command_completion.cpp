// completion: words for bash, from the same description of the commands that parses them.
#include "commands.h"

#include "support.h"

namespace tool {

namespace {

Strings options_of(const CLI::App& command)
{
    Strings names;
    for (const auto* option : command.get_options()) {
        for (const auto& name : option->get_lnames())
            names.push_back("--" + name);
    }
    return names;
}

std::string script_for(const CLI::App& app)
{
    Strings commands;
    std::string cases;
    for (const auto* command : app.get_subcommands({})) {
        commands.push_back(command->get_name());
        cases += fmt::format("        {}) words=\"{}\" ;;\n", command->get_name(), join(options_of(*command), " "));
    }
    return fmt::format(R"sh(# Completion of ./eremite for bash: eval "$(./eremite completion bash)"
_eremite() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "{} --help" -- "$current"))
        return
    fi
    case $previous in
        --arch) words="x86_64 aarch64" ;;
        --isolation) words="none stack mpk" ;;
        --machine) words="pc q35 microvm virt" ;;
        --console) words="serial virtio" ;;
        --net) words="user none tap=" ;;
        --lang) words="c cpp" ;;
        completion) words="bash" ;;
    esac
    if [[ -n $words ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{}    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    else
        COMPREPLY=($(compgen -f -- "$current"))
    fi
}}
complete -o filenames -F _eremite eremite ./eremite
)sh",
        join(commands, " "), cases);
}

} // namespace

void add_completion_command(CLI::App& app, int& status)
{
    auto* command
        = app.add_subcommand("completion", "Prints completion for a shell: eval \"$(./eremite completion bash)\"");
    auto shell = std::make_shared<std::string>();
    command->add_option("shell", *shell, "bash")->required()->check(CLI::IsMember({ "bash" }));
    command->callback([&app, shell, &status] {
        fmt::print("{}", script_for(app));
        status = 0;
    });
}

} // namespace tool
