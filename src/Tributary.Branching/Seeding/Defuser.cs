using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching.Seeding;

/// <summary>
/// Makes a copy of production forget that it is production: no password of its opens the copy, no subscription of its acts, nothing tells by which
/// secret streams know production's messages, and the branch's owner role exists. It runs on a primary of ours before any client does.
/// </summary>
internal sealed class Defuser(BranchingOptions options, SourceFacts facts, TimeProvider time)
{
    readonly OwnerRole _owner = new(options, facts);

    /// <summary>A connection of the superuser over the socket that trusts it.</summary>
    public Task<NpgsqlConnection> ConnectAsync(string socketDirectory, CancellationToken cancellationToken) => SuperuserCommand.OpenAsync(
        SuperuserCommand.ConnectionString(socketDirectory, facts.Superuser, "postgres", facts.Major), cancellationToken);

    /// <summary>
    /// Loads into a session, while its server is still a standby, what defusing needs: the language and what the catalog says of its own tables.
    /// At the promotion somebody waits. EXPLAIN alone plans, which a standby allows of an UPDATE too.
    /// </summary>
    public static Task WarmAsync(NpgsqlConnection connection, CancellationToken cancellationToken) => connection.ExecuteAsync(
        """
        DO $tributary$ BEGIN END $tributary$;
        EXPLAIN UPDATE pg_catalog.pg_authid SET rolpassword = NULL WHERE rolpassword IS NOT NULL;
        EXPLAIN UPDATE pg_catalog.pg_subscription SET subenabled = false;
        SELECT pg_relation_size('pg_catalog.pg_subscription'), (SELECT count(*) FROM pg_catalog.pg_roles);
        """, cancellationToken);

    /// <summary>Sessions in the databases of a standby for what defusing does in each, the one first that clients enter.</summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public async Task<DatabaseDefuser> PrepareAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var databases = new DatabaseDefuser(connection.ConnectionString, time);
        try
        {
            await databases.PrepareAsync((await connection.DatabasesAsync(withTemplates: true, cancellationToken)).OrderBy(database => database != options.Database), cancellationToken);
            return databases;
        }
        catch
        {
            await databases.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Opens and ends a session in the database that clients enter. The first one of a database after the server's start, or after a change of the
    /// catalog's own tables, reads their descriptions row by row and leaves a file of them for all that follow
    /// (RelationCacheInitializePhase3 in src/backend/utils/cache/relcache.c).
    /// </summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public async Task EnterAsync(string socketDirectory, CancellationToken cancellationToken)
    {
        try
        {
            await using var session = await SuperuserCommand.OpenAsync(SuperuserCommand.ConnectionString(socketDirectory, facts.Superuser, options.Database, facts.Major), cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            // Somebody has dropped it.
        }
    }

    /// <summary>Defuses the server, durably, and removes from its tables what that has overwritten.</summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public async Task DefuseAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var databases = new DatabaseDefuser(connection.ConnectionString, time);
        await DefuseAsync(connection, databases, cancellationToken);
    }

    /// <summary>The same with sessions that are open already, where somebody waits.</summary>
    public async Task DefuseAsync(NpgsqlConnection connection, DatabaseDefuser databases, CancellationToken cancellationToken)
    {
        // First, since after the table of roles is written anew each database's next session is a slow one.
        var closed = await OpenClosedAsync(connection, cancellationToken);
        await databases.DefuseAsync(await connection.DatabasesAsync(withTemplates: true, cancellationToken), cancellationToken);
        if (closed.Count > 0)
            await connection.ExecuteAsync($"UPDATE pg_catalog.pg_database SET datallowconn = false WHERE datname IN ({string.Join(", ", closed.Select(SqlQuoting.Literal))})", cancellationToken);
        await connection.ExecuteAsync(
            """
            SET synchronous_commit = on;
            UPDATE pg_catalog.pg_authid SET rolpassword = NULL WHERE rolpassword IS NOT NULL;
            -- A subscription would take changes from its publisher, and drop production's slot there when it is dropped here.
            UPDATE pg_catalog.pg_subscription SET subenabled = false, subslotname = NULL, subconninfo = '';
            """, cancellationToken);
        await _owner.MakeAsync(connection, cancellationToken);
        await SeedResidue.RemoveAsync(connection, time, cancellationToken);
    }

    // A database that production lets nobody into is in the copy all the same, and its owner opens it. Nobody has ever been in template0.
    static async Task<IReadOnlyList<string>> OpenClosedAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "UPDATE pg_catalog.pg_database SET datallowconn = true WHERE NOT datallowconn AND datname <> 'template0' AND datconnlimit <> -2 RETURNING datname::text", connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        List<string> names = [];
        while (await rows.ReadAsync(cancellationToken))
            names.Add(rows.GetString(0));
        return names;
    }
}
