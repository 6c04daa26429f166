using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>The server's status as text.</summary>
static class StatusText
{
    public static void Status(StatusResponse status, TextWriter output)
    {
        var (branching, gateway) = (status.Branching, status.Gateway);
        TextTable.Write(
            output,
            ("tributary", $"{status.Version}, pid {status.ProcessId}, up {Words.Milliseconds(status.UptimeSeconds * 1000)}, {Words.Bytes(status.ResidentBytes)} resident"),
            ("source", status.Source),
            ("state", status.StateDirectory),
            ("gateway", State(gateway.State, gateway.Error) + (gateway.Port is { } port ? $", {gateway.Host}:{port}, {gateway.Connections} connections{(gateway.Tls ? ", TLS" : "")}" : "")),
            ("branching", Branching(branching)),
            ("past", branching.PastSince is { } since ? $"branches --at any moment since {since:yyyy-MM-dd HH:mm:ss}Z" : null),
            ("spares", branching.State == PartState.Off || branching.Following == "none" ? null : $"{branching.SparesReady} ready for branches as of now"),
            ("seeds", branching.Seeds.Count == 0 ? null : $"{branching.Seeds.Count}, the newest at {branching.Seeds[0].Lsn} of {branching.Seeds[0].DataTime:HH:mm:ss}Z"),
            ("pool", branching.PoolUsedBytes is { } used ? $"{Words.Bytes(used)} of {Words.Bytes(branching.PoolBytesMax ?? 0)}; branches alone {Words.Bytes(branching.BranchesExclusiveBytes ?? 0)}" : null));
        if (status.Streams.Count > 0)
        {
            output.WriteLine();
            Streams(status.Streams, output);
        }
    }

    public static void Streams(IReadOnlyList<StreamStatusResponse> streams, TextWriter output)
    {
        if (streams.Count == 0)
        {
            output.WriteLine("no streams are configured");
            return;
        }

        TextTable.Write(
            output, ["STREAM", "STATE", "COPIED ROWS", "CHANGES", "LAG P50", "LAG P99", "BEHIND", "TARGET"],
            streams.Select(stream => new[]
            {
                stream.Name, stream.State == PartState.Running ? stream.Phase ?? "running" : Words.Name(stream.State), Copied(stream), $"{stream.ChangesApplied:N0}",
                stream.LagMsP50 is { } p50 ? Words.Milliseconds(p50) : "-", stream.LagMsP99 is { } p99 ? Words.Milliseconds(p99) : "-",
                stream.LagBytes is { } behind ? Words.Bytes(behind) : "-", stream.Target ?? "-",
            }));
        foreach (var stream in streams.Where(stream => stream.State == PartState.Running))
            output.WriteLine($"{stream.Name}: {Details(stream)}");
        foreach (var stream in streams)
        {
            foreach (var report in stream.LastSchemaReports)
                output.WriteLine($"{stream.Name}: not carried at {report.Lsn}: {report.Command} {report.Subject}: {report.Reason}");
        }

        foreach (var stream in streams.Where(stream => stream.Error is not null))
            output.WriteLine($"{stream.Name}: {stream.Error}");
    }

    static string Details(StreamStatusResponse stream) => string.Concat(
        $"confirmed {stream.ConfirmedLsn ?? "-"} of {stream.SourceLsn ?? "-"}; in flight {stream.InFlightTransactions:N0} transactions, {Words.Bytes(stream.InFlightBytes)}",
        stream.SpoolBytes > 0 ? $", {Words.Bytes(stream.SpoolBytes)} on disk" : "",
        stream.Changes is { } changes
            ? $"; {changes.Inserts:N0} inserts, {changes.Updates:N0} updates, {changes.Deletes:N0} deletes, {changes.Truncates:N0} truncates, {changes.Schemas:N0} schema changes" : "",
        $" in {stream.TransactionsApplied:N0} transactions, {stream.Batches:N0} batches",
        stream.MissingRows > 0 ? $"; {stream.MissingRows:N0} rows were missing" : "",
        stream.SchemaReports > 0 ? $"; {stream.SchemaReports:N0} parts of schema changes not carried (all in the target's tributary.schema_report)" : "",
        stream.SchemaFromDescriptions ? "; schema changes by the descriptions of rows, without event triggers" : "",
        stream.Reconnections > 0 ? $"; {stream.Reconnections:N0} reconnections" : "");

    static string Copied(StreamStatusResponse stream) =>
        stream.RowsEstimated > stream.RowsCopied ? $"{stream.RowsCopied:N0} of about {stream.RowsEstimated:N0}" : $"{stream.RowsCopied:N0}";

    static string Branching(BranchingStatusResponse branching) => branching.State == PartState.Off ? "off" : string.Concat(
        State(branching.State, branching.Error),
        $", {branching.Driver}, {(branching.Phase == "serving" ? "main of its own" : branching.Phase)}",
        branching.BaseBackupPercent is { } percent ? $" {percent:0} %" : "",
        branching.MainLsn is { } lsn ? $" at {lsn}" : "",
        $", {branching.Branches} branches, {branching.Running} running");

    static string State(PartState state, string? error) => error is null ? Words.Name(state) : $"{Words.Name(state)}: {error}";
}
