using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Streaming.Hosting;

namespace Tributary.Server.Diagnosis;

/// <summary>What a stream needs at both of its ends, in the words of the API.</summary>
static class StreamChecks
{
    public static async Task<StreamCheckResponse> RunAsync(PostgresUrl source, StreamConfiguration stream, CancellationToken cancellationToken)
    {
        var findings = await StreamPreflight.CheckAsync(stream.Options(source), cancellationToken);
        return new StreamCheckResponse(stream.Name, source.ToString(), stream.Target.ToString(), [.. findings.Select(View)]);
    }

    /// <summary>
    /// What the stream into main finds at production; its target is of our own making. Branches must not make production refuse what it takes
    /// without them, so that what only warns of a stream is an obstacle here.
    /// </summary>
    public static async Task<IReadOnlyList<StreamFindingResponse>> OfMainAsync(TributaryConfiguration configuration, CancellationToken cancellationToken) =>
        configuration is { FollowsLogically: true, Branching: { } branching }
            ? [.. (await StreamPreflight.CheckSourceAsync(MainStream.Options(branching), cancellationToken))
                .Select(finding => View(finding.StopsSource ? finding with { Severity = FindingSeverity.Error } : finding))]
            : [];

    /// <summary>The same for the doctor: one line that all is well, or one a finding.</summary>
    /// <param name="productionServes">Production has passed its own checks; when it has not, they have said so already.</param>
    public static async Task<IReadOnlyList<DoctorCheck>> DiagnoseAsync(TributaryConfiguration configuration, bool productionServes, CancellationToken cancellationToken)
    {
        var checks = productionServes ? (await OfMainAsync(configuration, cancellationToken)).Where(IsTold).Select(finding => Check("stream to main", finding)).ToList() : [];
        foreach (var stream in configuration.Streams)
        {
            var checkedStream = await RunAsync(configuration.Production, stream, cancellationToken);
            var findings = checkedStream.Findings
                .Where(finding => IsTold(finding) && (productionServes || finding.Side != StreamSide.Source)).ToList();
            if (findings.TrueForAll(finding => finding.Side != StreamSide.Target))
                checks.Add(new DoctorCheck($"stream {stream.Name}", CheckOutcome.Ok, $"{checkedStream.Target} takes it"));
            checks.AddRange(findings.Select(finding => Check($"stream {stream.Name}", finding)));
        }

        return checks;
    }

    static bool IsTold(StreamFindingResponse finding) => finding.Severity != StreamFindingSeverity.Note;

    static DoctorCheck Check(string name, StreamFindingResponse finding) => new(
        name, finding.Severity == StreamFindingSeverity.Error ? CheckOutcome.Failed : CheckOutcome.Warning, $"{finding.Subject}: {finding.Problem}", Mend(finding));

    /// <summary>What to do, with the statements that do it.</summary>
    public static string Mend(StreamFindingResponse finding) => finding.Sql is null ? finding.Remedy : $"{finding.Remedy} {finding.Sql.Replace('\n', ' ')}";

    static StreamFindingResponse View(StreamFinding finding) => new(
        finding.Severity switch
        {
            FindingSeverity.Error => StreamFindingSeverity.Error,
            FindingSeverity.Warning => StreamFindingSeverity.Warning,
            _ => StreamFindingSeverity.Note,
        },
        Side(finding.Subject),
        finding.Subject, finding.Problem, finding.Remedy, finding.Sql);

    static StreamSide Side(string subject) => subject.Split(' ')[0] switch
    {
        "source" => StreamSide.Source,
        "target" => StreamSide.Target,
        "machine" => StreamSide.Machine,
        _ => StreamSide.Options,
    };
}
