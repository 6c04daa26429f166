using System.CommandLine;
using Tributary.Server;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary version</c></summary>
static class VersionCommand
{
    public static Command Build()
    {
        var command = new Command("version", "Print the version");
        command.SetAction(static parse =>
        {
            parse.InvocationConfiguration.Output.WriteLine(ProductVersion.Text);
            return ExitCodes.Ok;
        });
        return command.WithExamples("tributary version");
    }
}
