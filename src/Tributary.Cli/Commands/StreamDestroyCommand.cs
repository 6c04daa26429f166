using System.CommandLine;
using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Cli.Output;
using Tributary.Server;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary stream destroy</c>: takes back what a stream has made.</summary>
static class StreamDestroyCommand
{
    static readonly Option<bool> DropCopied = new("--drop-copied") { Description = "Also drop the tables that the stream copied; the next run copies them anew" };

    public static Command Build()
    {
        var command = new Command("destroy", "Remove a stopped stream's slot and publication from production and its progress from the target") { DropCopied, Confirmation.Yes };
        command.AddStreamOptions();
        command.SetAction(RunAsync);
        return command.WithExamples(
            "tributary stream destroy -c tributary.yaml replica",
            "tributary stream destroy --source postgresql://…/shop --target postgresql://…/shop_copy --drop-copied --yes",
            "tributary stream destroy --source postgresql://…/shop --to stdout --name audit --yes -o json");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var (selected, code) = StreamSelection.Read(parse);
        if (selected is null)
            return code;
        var dropCopied = parse.GetValue(DropCopied);
        var kept = selected.Stream.Target is StdoutTargetConfiguration stdout
            ? $"the checkpoint {stdout.CheckpointFile(selected.Stream.Name)}"
            : $"{(dropCopied ? "every table that it copied to" : "its progress at")} {selected.Stream.Target}";
        if (!Confirmation.Given(parse, $"slot and publication tributary_{selected.Stream.Name} from {selected.Source}, and {kept}"))
            return ExitCodes.Usage;
        var runner = new StreamRunner(selected.Source, selected.Stream, TimeProvider.System, NullLoggerFactory.Instance);
        var (removed, failure) = await runner.DestroyAsync(dropCopied, cancellationToken);
        if (failure is not null)
            return Failures.Report(parse, failure);
        ServerCommand.Print(parse, removed!, static json => json.RemovalResponse, RemovalText.Write);
        return ExitCodes.Ok;
    }
}
