using System.CommandLine;

namespace Tributary.Cli.Commands;

/// <summary>
/// <c>tributary completion</c>: prints a script that asks this program for what can follow, by the parser's <c>[suggest]</c> directive, so
/// that the script never grows old.
/// </summary>
static class CompletionCommand
{
    static readonly Argument<string> Shell = new("shell") { Description = "bash, zsh or fish" };

    const string Bash = """
        _tributary() {
            local IFS=$'\n'
            COMPREPLY=($(compgen -W "$(tributary "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _tributary tributary
        """;

    const string Zsh = """
        #compdef tributary
        _tributary() {
            local completions=("${(@f)$(tributary "[suggest:${#BUFFER}]" "${BUFFER}" 2>/dev/null)}")
            (( ${#completions[@]} )) && compadd -a completions || _files
        }
        compdef _tributary tributary
        """;

    const string Fish = """
        complete -f -c tributary -a '(set -l line (commandline -cp); tributary "[suggest:"(string length -- $line)"]" "$line" 2>/dev/null)'
        """;

    public static Command Build()
    {
        Shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion", "Print a script that completes commands, options and branch names in a shell") { Shell };
        command.SetAction(static parse =>
        {
            parse.InvocationConfiguration.Output.WriteLine(parse.GetRequiredValue(Shell) switch { "zsh" => Zsh, "fish" => Fish, _ => Bash });
            return ExitCodes.Ok;
        });
        return command.WithExamples("source <(tributary completion bash)", "tributary completion zsh > ~/.zfunc/_tributary", "tributary completion fish > ~/.config/fish/completions/tributary.fish");
    }
}
