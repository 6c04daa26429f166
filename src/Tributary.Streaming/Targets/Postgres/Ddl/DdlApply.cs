using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>
/// Runs the steps of a change of the schema inside the target's open transaction. What rows depend on must succeed, or the stream stops there;
/// what only describes (a comment, a grant to a role that the target lacks) is reported when it fails, and passed.
/// </summary>
/// <param name="rolesTold">Roles whose lack has been told, so that a source with other roles does not fill the report.</param>
internal sealed class DdlApply(NpgsqlConnection connection, HashSet<string> rolesTold)
{
    const string DependentObjectsStillExist = "2BP01";
    const string UndefinedObject = "42704";

    // Foreign keys that are set again when the rows of an emptied table are back.
    readonly List<string> _waiting = [];

    /// <exception cref="StreamException">Kind Schema: the target cannot follow.</exception>
    public async Task ApplyAsync(SchemaChange change, Lsn position, long sequence, List<SchemaReport> reports, CancellationToken cancellationToken)
    {
        DdlMessage message;
        try
        {
            message = DdlPlanner.Plan(change);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException)
        {
            throw Stop(change.Tag, "the description of the command cannot be read", position, sequence);
        }

        if (message.Refusal is { } refusal)
            throw Stop(message.Tag, refusal, position, sequence);
        if (message.Rows is { } rows)
        {
            await InsertAsync(rows, message.Tag, position, sequence, cancellationToken);
            return;
        }

        await FinishAsync(cancellationToken);
        foreach (var (what, why) in message.Reports)
            reports.Add(new SchemaReport(position, message.Tag, what, why));
        await DropAsync(message, position, sequence, cancellationToken);
        await SetAsideAsync(message.Rewritten, cancellationToken);
        foreach (var step in message.Steps.Where(step => step.Phase > DdlPhase.Drop))
        {
            if (step.IsEssential)
            {
                if (await TryAsync(step, guarded: false, cancellationToken) is { } failure)
                    throw Stop(message.Tag, step, failure, position, sequence);
            }
            else if (await TryAsync(step, guarded: true, cancellationToken) is { } failure)
            {
                Report(message.Tag, step, failure, position, reports);
            }
        }
    }

    /// <summary>Forgets what an undone transaction has left open.</summary>
    public void Reset() => _waiting.Clear();

    /// <summary>Sets what waits for the rows of a command, which have all arrived when anything else comes.</summary>
    public async Task FinishAsync(CancellationToken cancellationToken)
    {
        foreach (var sql in _waiting)
            await ExecuteAsync(sql, cancellationToken);
        _waiting.Clear();
    }

    // A foreign key to an emptied table is checked anew when its columns get another type, and would find no row.
    async Task SetAsideAsync(IReadOnlyList<string> rewritten, CancellationToken cancellationToken)
    {
        if (rewritten.Count == 0)
            return;
        var drops = new List<string>();
        await using (var command = new NpgsqlCommand(
            """
            SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
                format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_catalog.pg_get_constraintdef(oid))
            FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conparentid = 0
                AND confrelid IN (SELECT t::regclass FROM unnest($1) AS t UNION SELECT pg_catalog.pg_partition_root(t::regclass) FROM unnest($1) AS t)
            """, connection)
        { Parameters = { new() { Value = rewritten.ToArray() } } })
        {
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                drops.Add(reader.GetString(0));
                _waiting.Add(reader.GetString(1));
            }
        }

        foreach (var sql in drops)
            await ExecuteAsync(sql, cancellationToken);
    }

    // The server knows what depends on what: a step that comes too early is tried again after the others.
    async Task DropAsync(DdlMessage message, Lsn position, long sequence, CancellationToken cancellationToken)
    {
        // A detached partition is no longer reached by what happens to its parent.
        foreach (var step in message.Steps.Where(step => step.Phase < DdlPhase.Drop))
        {
            if (await TryAsync(step, guarded: false, cancellationToken) is { } failure)
                throw Stop(message.Tag, step, failure, position, sequence);
        }

        var waiting = message.Steps.Where(step => step.Phase == DdlPhase.Drop).ToList();
        while (waiting.Count > 0)
        {
            var later = new List<DdlStep>();
            PostgresException? last = null;
            foreach (var step in waiting)
            {
                last = await TryAsync(step, guarded: waiting.Count > 1, cancellationToken);
                if (last is null)
                    continue;
                if (last.SqlState != DependentObjectsStillExist || waiting.Count == 1)
                    throw Stop(message.Tag, step, last, position, sequence);
                later.Add(step);
            }

            if (later.Count == waiting.Count)
                throw Stop(message.Tag, later[0], last!, position, sequence);
            waiting = later;
        }
    }

    // A guarded step leaves the transaction usable when it fails.
    async Task<PostgresException?> TryAsync(DdlStep step, bool guarded, CancellationToken cancellationToken)
    {
        try
        {
            if (guarded)
                await ExecuteAsync("SAVEPOINT tributary_ddl", cancellationToken);
            if (step.IsEssential)
            {
                // As a batch of one, the text reaches the server as it is; a command's text would be searched for semicolons, which function bodies hold.
                await using var batch = new NpgsqlBatch(connection) { BatchCommands = { new NpgsqlBatchCommand(step.Sql) } };
                await batch.ExecuteNonQueryAsync(cancellationToken);
            }
            else
            {
                await ExecuteAsync(step.Sql, cancellationToken);
            }

            if (guarded)
                await ExecuteAsync("RELEASE SAVEPOINT tributary_ddl", cancellationToken);
            return null;
        }
        catch (PostgresException exception) when (!LostLink.Is(exception))
        {
            if (guarded)
                await ExecuteAsync("ROLLBACK TO SAVEPOINT tributary_ddl", cancellationToken);
            return exception;
        }
    }

    async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    async Task InsertAsync(DdlRows rows, string tag, Lsn position, long sequence, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand(rows.Sql, connection)
            { Parameters = { new() { Value = rows.Json, NpgsqlDbType = NpgsqlDbType.Jsonb } } };
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException exception) when (!LostLink.Is(exception))
        {
            throw Stop(tag, new DdlStep(DdlPhase.Empty, "", rows.Identity, IsEssential: true), exception, position, sequence);
        }
    }

    void Report(string tag, DdlStep step, PostgresException failure, Lsn position, List<SchemaReport> reports)
    {
        if (failure.SqlState == UndefinedObject && step.Role is { } role)
        {
            if (rolesTold.Add(role))
                reports.Add(new SchemaReport(position, tag, step.Object, $"the target has no role \"{role}\"; owners and grants of it are left out, from here on without a word"));
            return;
        }

        reports.Add(new SchemaReport(position, tag, step.Object, $"{step.Phase} refused: {LostLink.Describe(failure)}"));
    }

    static StreamException Stop(string tag, DdlStep step, PostgresException failure, Lsn position, long sequence) =>
        Stop(tag, $"the target refuses it for {step.Object}: {LostLink.Describe(failure)}", position, sequence);

    static StreamException Stop(string tag, string why, Lsn position, long sequence) => new(
        StreamErrorKind.Schema,
        $"The stream cannot carry the source's {tag}: {why}. Position: transaction that ends at {position}, change {sequence + 1}. " +
        "Mend the target so that the command can run there, then start the stream again; it goes on where it stopped. " +
        "Way back otherwise: 'tributary stream destroy --drop-copied', then start the stream again; it copies everything anew.");
}
