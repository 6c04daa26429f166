using System.CommandLine;
using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Contracts;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary stream init</c>: makes what a stream needs, as whoever may, and starts nothing.</summary>
static class StreamInitCommand
{
    public static Command Build()
    {
        var command = new Command(
            "init",
            "Check both ends, then make what needs the most rights: the publication at the source and the schema 'tributary' at the target. " +
            "It makes no slot, which would keep the source's log, and copies nothing; 'stream run' does both, and all of this too where it is missing. " +
            "From then on Postgres refuses updates and deletes of published tables that have no replica identity; 'stream check' names them");
        command.AddStreamOptions();
        command.SetAction(RunAsync);
        return command.WithExamples(
            "tributary stream init --source postgresql://postgres@127.0.0.1:5432/shop --target postgresql://postgres@127.0.0.1:5433/shop",
            "tributary stream init -c tributary.yaml replica -o json",
            "tributary stream init --source … --to stdout --name audit");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var (selected, code) = StreamSelection.Read(parse);
        if (selected is null)
            return code;
        var runner = new StreamRunner(selected.Source, selected.Stream, TimeProvider.System, NullLoggerFactory.Instance);
        var check = await runner.CheckAsync(cancellationToken);
        if (!check.Passed)
            return StreamCheckCommand.Refuse(parse, check);
        var (prepared, failure) = await runner.InitAsync(check, cancellationToken);
        if (failure is not null)
            return Failures.Report(parse, failure);
        ServerCommand.Print(parse, prepared!, static json => json.StreamInitResponse, Write);
        return ExitCodes.Ok;
    }

    static void Write(StreamInitResponse prepared, TextWriter output)
    {
        foreach (var thing in prepared.Ready)
            output.WriteLine($"ready: {thing}");
        foreach (var warning in prepared.Warnings)
            output.WriteLine($"warning: {warning.Subject}: {warning.Problem}");
        output.WriteLine($"start it: tributary stream run (stream {prepared.Stream})");
    }
}
