using System.Text;
using Npgsql;

namespace Tributary.Streaming.Copying.Ddl;

/// <summary>
/// The event triggers at the source that describe each change of the schema in a message of its own transaction. They are installed before the
/// slot is made, so that no change falls between the copied schema and the first message, and taken away with the last stream that reads them.
/// </summary>
internal static class DdlCapture
{
    static readonly string[] Scripts = ["1-state", "2-relation", "3-object", "4-capture", "5-install"];

    /// <summary>Installs them, and answers whether that was possible: it takes a superuser, and Postgres 14 for messages in the stream.</summary>
    public static async Task<bool> InstallAsync(NpgsqlConnection source, StreamOptions options, CancellationToken cancellationToken)
    {
        if (options.Schema == SchemaMode.None || await WhyNotAsync(source, cancellationToken) is not null)
            return false;
        await using var transaction = await source.BeginTransactionAsync(cancellationToken);
        // Two streams that start at once would else meet in the middle of it.
        await ExecuteAsync(source, "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('tributary.ddl'))", cancellationToken);
        foreach (var script in Scripts)
            await ExecuteAsync(source, Read(script), cancellationToken);
        await using var command = new NpgsqlCommand("INSERT INTO tributary.ddl_stream VALUES ($1) ON CONFLICT DO NOTHING", source)
        { Parameters = { new() { Value = options.SlotName } } };
        await command.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    /// <summary>Why the role cannot have event triggers; null if it can.</summary>
    public static async Task<string?> WhyNotAsync(NpgsqlConnection source, CancellationToken cancellationToken)
    {
        if (source.PostgreSqlVersion.Major < 14)
            return $"PostgreSQL {source.PostgreSqlVersion.Major} cannot send messages with the changes";
        await using var recovery = new NpgsqlCommand("SELECT pg_catalog.pg_is_in_recovery()", source);
        if (await recovery.ExecuteScalarAsync(cancellationToken) is true)
            return "the source is a standby, where nothing can be created";
        await using var command = new NpgsqlCommand("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", source);
        return await command.ExecuteScalarAsync(cancellationToken) is true ? null : "the role is no superuser and so may not create event triggers";
    }

    /// <summary>Takes the triggers away when no other stream uses them.</summary>
    public static async Task RemoveAsync(NpgsqlConnection source, string slotName, CancellationToken cancellationToken)
    {
        await using var exists = new NpgsqlCommand("SELECT pg_catalog.to_regclass('tributary.ddl_stream') IS NOT NULL", source);
        if (await exists.ExecuteScalarAsync(cancellationToken) is not true)
            return;
        await using var transaction = await source.BeginTransactionAsync(cancellationToken);
        await using var forget = new NpgsqlCommand(
            "WITH gone AS (DELETE FROM tributary.ddl_stream WHERE slot_name = $1 RETURNING slot_name) SELECT EXISTS (SELECT FROM tributary.ddl_stream s WHERE s.slot_name NOT IN (SELECT slot_name FROM gone))", source)
        { Parameters = { new() { Value = slotName } } };
        if (await forget.ExecuteScalarAsync(cancellationToken) is not true)
            await ExecuteAsync(source, Read("remove"), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    static async Task ExecuteAsync(NpgsqlConnection source, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, source);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    static string Read(string script)
    {
        using var stream = typeof(DdlCapture).Assembly.GetManifestResourceStream($"ddl/{script}.sql")!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
