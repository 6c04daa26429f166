using System.Text;
using Npgsql;

namespace Tributary.Streaming.Copying.Ddl;

/// <summary>
/// The event triggers at the source that describe each change of the schema in a message of its own transaction. They are installed before the
/// slot is made, so that no change falls between the copied schema and the first message, and taken away with the last stream that reads them.
/// 1. Make the triggers. 2. Wait until every transaction that began without them has ended: what it changes is described by nobody.
/// 3. Remember each object as it is; a command is described by what differs from that.
/// </summary>
internal static class DdlCapture
{
    static readonly string[] Scripts = ["1-state", "2-relation", "3-object", "4-capture", "5-install"];

    // A session that has only read learns of the triggers with the next lock it takes, which is before its next command unless that is the
    // command itself. It may read for hours, and the slot would not wait for it either.
    static readonly TimeSpan ReadersWait = TimeSpan.FromSeconds(5);

    /// <summary>Between two tries to get the lock (6-remember.sql), each of which holds up who changes the schema for half a second at most.</summary>
    static readonly TimeSpan RememberPause = TimeSpan.FromSeconds(2);

    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// Installs them, and answers whether that was possible: it takes a superuser, and Postgres 14 for messages in the stream. Waits for the
    /// transactions that write at the source, as long as they last, as the slot does.
    /// </summary>
    public static async Task<bool> InstallAsync(NpgsqlConnection source, StreamOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (options.Schema == SchemaMode.None || await WhyNotAsync(source, cancellationToken) is not null)
            return false;

        // Step 1.
        await using (var transaction = await BeginAsync(source, cancellationToken))
        {
            foreach (var script in Scripts)
                await ExecuteAsync(source, Read(script), cancellationToken);
            await using var command = new NpgsqlCommand("INSERT INTO tributary.ddl_stream VALUES ($1) ON CONFLICT DO NOTHING", source)
            { Parameters = { new() { Value = options.SlotName } } };
            await command.ExecuteNonQueryAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }

        // Step 2.
        await AwaitOlderAsync(source, time, cancellationToken);

        // Step 3.
        while (!await TryRememberAsync(source, cancellationToken))
            await Task.Delay(RememberPause, time, cancellationToken);
        return true;
    }

    // Whoever waits for the lock lets every later command on the schema wait behind him, however long the transaction lasts that holds it.
    static async Task<bool> TryRememberAsync(NpgsqlConnection source, CancellationToken cancellationToken)
    {
        await using var transaction = await BeginAsync(source, cancellationToken);
        try
        {
            await ExecuteAsync(source, Read("6-remember"), cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
        {
            return false;
        }

        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    // Two streams that start at once would else meet in the middle of it.
    static async Task<NpgsqlTransaction> BeginAsync(NpgsqlConnection source, CancellationToken cancellationToken)
    {
        var transaction = await source.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(source, "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('tributary.ddl'))", cancellationToken);
        return transaction;
    }

    // Each transaction that has a number has a smaller one than who takes the next; a snapshot's end is only behind the last one that has ended.
    // A transaction without a number of its own is known by its virtual one (https://www.postgresql.org/docs/current/view-pg-locks.html).
    static async Task AwaitOlderAsync(NpgsqlConnection source, TimeProvider time, CancellationToken cancellationToken)
    {
        const string Running =
            """
            SELECT pg_catalog.pg_current_xact_id()::text,
                ARRAY(SELECT l.virtualxid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
                    WHERE l.locktype = 'virtualxid' AND l.granted AND a.datname = pg_catalog.current_database() AND l.pid <> pg_catalog.pg_backend_pid())
            """;
        const string Left =
            """
            SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) < $1::pg_catalog.xid8,
                EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'virtualxid' AND granted AND virtualxid = ANY ($2))
            """;
        var (next, readers) = await RowAsync<string, string[]>(source, Running, [], cancellationToken);
        for (var started = time.GetTimestamp(); ;)
        {
            var (areWriting, areReading) = await RowAsync<bool, bool>(source, Left, [next, readers], cancellationToken);
            if (!areWriting && (!areReading || time.GetElapsedTime(started) > ReadersWait))
                return;
            await Task.Delay(Interval, time, cancellationToken);
        }
    }

    static async Task<(TFirst First, TSecond Second)> RowAsync<TFirst, TSecond>(
        NpgsqlConnection source, string sql, IReadOnlyList<object> parameters, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, source);
        foreach (var value in parameters)
            command.Parameters.Add(new() { Value = value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return (await reader.GetFieldValueAsync<TFirst>(0, cancellationToken), await reader.GetFieldValueAsync<TSecond>(1, cancellationToken));
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
