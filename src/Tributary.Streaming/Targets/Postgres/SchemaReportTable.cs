using Npgsql;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>What of the source's schema changes the target does not have, for whoever asks later.</summary>
internal static class SchemaReportTable
{
    public static async Task AddAsync(NpgsqlConnection target, string pipeline, IReadOnlyList<SchemaReport> reports, CancellationToken cancellationToken)
    {
        if (reports.Count == 0)
            return;
        await using var command = new NpgsqlCommand(
            "INSERT INTO tributary.schema_report (pipeline, commit_end_lsn, tag, object, why) SELECT $1, l::pg_lsn, t, o, w FROM unnest($2, $3, $4, $5) AS u(l, t, o, w)", target)
        {
            Parameters =
            {
                new() { Value = pipeline },
                new() { Value = reports.Select(report => report.Position.ToString()).ToArray() },
                new() { Value = reports.Select(report => report.Tag).ToArray() },
                new() { Value = reports.Select(report => report.Subject).ToArray() },
                new() { Value = reports.Select(report => report.Why).ToArray() },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
