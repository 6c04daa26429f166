using System.Collections.Concurrent;
using System.Data;
using Npgsql;

namespace Tributary.Branching.Seeding;

/// <summary>
/// The secret by which streams believe messages in production's log: whoever may write there and knows it has their targets run what he likes. The event
/// triggers that streams install keep it in a table of each database that is streamed (src/Tributary.Streaming/Copying/Ddl/1-state.sql), and a clone
/// has that table too. A server of ours gets another one before any client.
/// </summary>
/// <param name="connectionString">Of the superuser of that server, in any database.</param>
internal sealed class MessageSecret(string connectionString) : IAsyncDisposable
{
    /// <summary>Sessions that are opened or at work at once: there may be hundreds of databases, and the server has two processors for them.</summary>
    const int AtOnceMax = 4;

    /// <summary>Sessions that are kept open while nobody waits; each is some megabytes of a spare. The databases beyond are entered when it counts.</summary>
    const int HeldMax = 8;

    const string Table = "tributary.ddl_setting";

    const string IsThere =
        $"""
        SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE c.oid = pg_catalog.to_regclass('{Table}') AND c.relkind = 'r' AND a.attname = 'token' AND NOT a.attisdropped)
        """;

    readonly ConcurrentDictionary<string, NpgsqlConnection> _held = new(StringComparer.Ordinal);

    /// <summary>Enters databases ahead, since a session takes ten times as long to open as what it has to do.</summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public Task PrepareAsync(IEnumerable<string> databases, CancellationToken cancellationToken) => EachAsync(databases.Take(HeldMax), async (database, token) =>
    {
        var session = _held[database] = await OpenAsync(database, token);
        await IsThereAsync(session, token);
    }, cancellationToken);

    /// <summary>Gives the triggers another secret, and leaves nothing of production's in their table's file.</summary>
    /// <param name="databases">All that can be entered.</param>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public async Task ReplaceAsync(IEnumerable<string> databases, CancellationToken cancellationToken)
    {
        await EachAsync(databases, async (database, token) =>
        {
            if (_held.TryRemove(database, out var held) && await TryReplaceAsync(held, token))
                return;
            await using var session = await OpenAsync(database, token);
            await ReplaceAsync(session, token);
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
    static async Task<bool> TryReplaceAsync(NpgsqlConnection held, CancellationToken cancellationToken)
    {
        await using var session = held;
        try
        {
            await ReplaceAsync(session, cancellationToken);
            return true;
        }
        catch (NpgsqlException) when (!session.FullState.HasFlag(ConnectionState.Open))
        {
            return false;
        }
    }

    static async Task ReplaceAsync(NpgsqlConnection session, CancellationToken cancellationToken)
    {
        if (!await IsThereAsync(session, cancellationToken))
            return;
        await session.ExecuteAsync($"UPDATE {Table} SET token = pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text", cancellationToken);
        // The row that was updated stays in the file until the table is written anew (see SeedResidue).
        await session.ExecuteAsync($"VACUUM FULL {Table}", cancellationToken);
    }

    static async Task<bool> IsThereAsync(NpgsqlConnection session, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(IsThere, session);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    static Task EachAsync(IEnumerable<string> databases, Func<string, CancellationToken, Task> actAsync, CancellationToken cancellationToken) => Parallel.ForEachAsync(
        databases, new ParallelOptions { MaxDegreeOfParallelism = AtOnceMax, CancellationToken = cancellationToken }, async (database, token) => await actAsync(database, token));

    Task<NpgsqlConnection> OpenAsync(string database, CancellationToken cancellationToken) =>
        SuperuserCommand.OpenAsync(new NpgsqlConnectionStringBuilder(connectionString) { Database = database }.ConnectionString, cancellationToken);
}
