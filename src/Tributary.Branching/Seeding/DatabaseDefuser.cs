using System.Collections.Concurrent;
using System.Data;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching.Seeding;

/// <summary>
/// Defuses what is in each database of a copy, in a session there:
/// <list type="number">
/// <item>Transactions that production has prepared and not ended are rolled back: nobody would end them here, and their locks and all that they keep from
/// being removed would stay.</item>
/// <item>The secret by which streams believe messages in production's log is another one: whoever may write there and knows it has their targets run
/// what he likes. The event triggers that streams install keep it in a table (src/Tributary.Streaming/Copying/Ddl/1-state.sql).</item>
/// <item>Statistics of tables that hold secrets are removed: ANALYZE keeps samples of what it has read, password hashes among them.</item>
/// </list>
/// </summary>
/// <param name="connectionString">Of the superuser, in any database.</param>
internal sealed class DatabaseDefuser(string connectionString, TimeProvider time) : IAsyncDisposable
{
    /// <summary>Sessions that are opened or at work at once: there may be hundreds of databases, and the server has two processors for them.</summary>
    const int AtOnceMax = 4;

    /// <summary>Sessions that are kept open while nobody waits; each is some megabytes of a spare. The databases beyond are entered when it counts.</summary>
    const int HeldMax = 8;

    // Initdb analyzes too, before there is any secret: a row by itself tells nothing.
    const string Samples =
        """
        FROM pg_catalog.pg_statistic s WHERE EXISTS (
            SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = s.starelid AND a.attnum = s.staattnum
            AND (a.attrelid, a.attname) IN (('pg_catalog.pg_authid'::regclass, 'rolpassword'), ('pg_catalog.pg_subscription'::regclass, 'subconninfo')))
        AND (s.stavalues1 IS NOT NULL OR s.stavalues2 IS NOT NULL OR s.stavalues3 IS NOT NULL OR s.stavalues4 IS NOT NULL OR s.stavalues5 IS NOT NULL)
        """;

    // What there is to do, in one question: mostly nothing.
    const string Question =
        $"""
        SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            WHERE c.oid = pg_catalog.to_regclass('tributary.ddl_setting') AND c.relkind = 'r' AND a.attname = 'token' AND NOT a.attisdropped),
        EXISTS (SELECT {Samples}),
        ARRAY(SELECT gid::text FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database())
        """;

    // Emptied and filled rather than updated: the file of before is gone whoever still has a snapshot.
    const string ReplaceSecret =
        """
        DO $tributary$
        DECLARE
            settings tributary.ddl_setting[] := ARRAY(SELECT s FROM tributary.ddl_setting s);
            setting tributary.ddl_setting;
        BEGIN
            TRUNCATE tributary.ddl_setting;
            FOREACH setting IN ARRAY settings LOOP
                setting.token := pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text;
                INSERT INTO tributary.ddl_setting SELECT setting.*;
            END LOOP;
        END $tributary$;
        """;

    const string ForgetStatistics = $"DELETE {Samples}";

    readonly ConcurrentDictionary<string, NpgsqlConnection> _held = new(StringComparer.Ordinal);

    /// <summary>Enters databases ahead, since a session takes ten times as long to open as what it has to do.</summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public Task PrepareAsync(IEnumerable<string> databases, CancellationToken cancellationToken) => EachAsync(databases.Take(HeldMax), async (database, token) =>
    {
        var session = _held[database] = await OpenAsync(database, token);
        await AskAsync(session, token);
    }, cancellationToken);

    /// <summary>Defuses all databases, and ends the sessions.</summary>
    /// <param name="databases">All that can be entered.</param>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public async Task DefuseAsync(IEnumerable<string> databases, CancellationToken cancellationToken)
    {
        await EachAsync(databases, async (database, token) =>
        {
            if (_held.TryRemove(database, out var held) && await TryDefuseAsync(held, token))
                return;
            await using var session = await OpenAsync(database, token);
            await DefuseAsync(session, token);
        }, cancellationToken);
        await DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var session in _held.Values)
            await session.DisposeAsync();
        _held.Clear();
    }

    // False when the session has ended: production has dropped the database, and made another one of the name.
    async Task<bool> TryDefuseAsync(NpgsqlConnection held, CancellationToken cancellationToken)
    {
        await using var session = held;
        try
        {
            await DefuseAsync(session, cancellationToken);
            return true;
        }
        catch (NpgsqlException) when (!session.FullState.HasFlag(ConnectionState.Open))
        {
            return false;
        }
    }

    async Task DefuseAsync(NpgsqlConnection session, CancellationToken cancellationToken)
    {
        var (hasSecret, hasStatistics, prepared) = await AskAsync(session, cancellationToken);

        // Step 1: prepared transactions, before what their locks would keep waiting.
        foreach (var transaction in prepared)
            await session.ExecuteAsync($"ROLLBACK PREPARED {SqlQuoting.Literal(transaction)}", cancellationToken);

        // Step 2: the secret.
        if (hasSecret)
            await session.ExecuteAsync(ReplaceSecret, cancellationToken);

        // Step 3: statistics.
        if (!hasStatistics)
            return;
        await session.ExecuteAsync(ForgetStatistics, cancellationToken);
        await SeedResidue.RewriteAsync(session, "pg_catalog.pg_statistic", time, cancellationToken);
    }

    static async Task<(bool HasSecret, bool HasStatistics, string[] Prepared)> AskAsync(NpgsqlConnection session, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(Question, session);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        return (row.GetBoolean(0), row.GetBoolean(1), row.GetFieldValue<string[]>(2));
    }

    static Task EachAsync(IEnumerable<string> databases, Func<string, CancellationToken, Task> actAsync, CancellationToken cancellationToken) => Parallel.ForEachAsync(
        databases, new ParallelOptions { MaxDegreeOfParallelism = AtOnceMax, CancellationToken = cancellationToken }, async (database, token) => await actAsync(database, token));

    Task<NpgsqlConnection> OpenAsync(string database, CancellationToken cancellationToken) =>
        SuperuserCommand.OpenAsync(new NpgsqlConnectionStringBuilder(connectionString) { Database = database }.ConnectionString, cancellationToken);
}
