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
        return check.Passed ? ExitCodes.Ok : CodesOf(check).Exit;
    }

    /// <summary>Says on standard error why a stream was not even started.</summary>
    public static int Refuse(ParseResult parse, StreamCheckResponse check)
    {
        var (exit, code) = CodesOf(check);
        var findings = check.Findings.Where(finding => finding.Severity == StreamFindingSeverity.Error)
            .Select(finding => (Message: $"{finding.Subject}: {finding.Problem}", Hint: finding.Sql is null ? finding.Remedy : $"{finding.Remedy}\n{finding.Sql}")).ToList();
        // A script gets one object; a person each remedy below its problem.
        if (SharedOptions.IsJson(parse))
            Failures.Write(parse, findings.ConvertAll(static finding => finding.Message), string.Join('\n', findings.Select(static finding => finding.Hint)), code);
        else
            findings.ForEach(finding => Failures.Write(parse, finding.Message, finding.Hint));
        return exit;
    }

    static (int Exit, string Code) CodesOf(StreamCheckResponse check) => check.Findings[0].Side switch
    {
        StreamSide.Source => (ExitCodes.SourceUnsuitable, ProblemCodes.SourceUnsuitable),
        StreamSide.Target => (ExitCodes.TargetUnsuitable, ProblemCodes.TargetUnsuitable),
        StreamSide.Machine => (ExitCodes.MachineUnsuitable, ProblemCodes.MachineUnsuitable),
        _ => (ExitCodes.Usage, ProblemCodes.WrongConfiguration),
    };
}
