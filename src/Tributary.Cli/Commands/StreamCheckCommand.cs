using System.CommandLine;
using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary stream check</c>: what stands in the way of a stream, and how to mend it. It changes nothing.</summary>
static class StreamCheckCommand
{
    public static Command Build()
    {
        var command = new Command("check", "Look at both ends of a stream, and say what is missing and how to mend it");
        command.AddStreamOptions();
        command.SetAction(RunAsync);
        return command.WithExamples(
            "tributary stream check --source postgresql://postgres@127.0.0.1:5432/shop --target postgresql://postgres@127.0.0.1:5433/shop",
            "tributary stream check -c tributary.yaml replica",
            "tributary stream check -c tributary.yaml -o json | jq -r '.findings[].sql'");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var (selected, code) = StreamSelection.Read(parse);
        if (selected is null)
            return code;
        var check = await new StreamRunner(selected.Source, selected.Stream, TimeProvider.System, NullLoggerFactory.Instance).CheckAsync(cancellationToken);
        ServerCommand.Print(parse, check, static json => json.StreamCheckResponse, StreamCheckText.Write);
        return check.Passed ? ExitCodes.Ok : CodeOf(check);
    }

    /// <summary>Says on standard error why a stream was not even started.</summary>
    public static int Refuse(ParseResult parse, StreamCheckResponse check)
    {
        foreach (var finding in check.Findings.Where(finding => finding.Severity == StreamFindingSeverity.Error))
            Failures.Write(parse, $"{finding.Subject}: {finding.Problem}", finding.Sql is null ? finding.Remedy : $"{finding.Remedy}\n{finding.Sql}");
        return CodeOf(check);
    }

    static int CodeOf(StreamCheckResponse check) => check.Findings[0].Side switch
    {
        StreamSide.Source => ExitCodes.SourceUnsuitable,
        StreamSide.Target => ExitCodes.TargetUnsuitable,
        StreamSide.Machine => ExitCodes.MachineUnsuitable,
        _ => ExitCodes.Usage,
    };
}
