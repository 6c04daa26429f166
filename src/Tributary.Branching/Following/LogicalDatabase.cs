using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching.Following;

/// <summary>The database of a logical main, which has the name of production's: how it is made, and what it tells of the feed.</summary>
internal sealed class LogicalDatabase(BranchingOptions options, MainServer server, ILogger logger) : IAsyncDisposable
{
    const string Progress = $"SELECT commit_end_lsn::text, updated_at FROM tributary.progress WHERE pipeline = '{IMainFeed.Name}'";

    /// <summary>What the feed keeps in its target, and what it has told the server.</summary>
    const string Separate =
        $"""
        SET client_min_messages = warning;
        DROP SCHEMA tributary CASCADE;
        SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE roname = 'tributary_{IMainFeed.Name}' OR starts_with(roname, 'tributary_{IMainFeed.Name}/');
        """;

    // Two for whoever waits, one for the keeper, one spare.
    readonly NpgsqlDataSource _source = new NpgsqlSlimDataSourceBuilder(
        $"Host={server.SocketDirectory};Username={OwnMain.Superuser};Database={options.Database};Maximum Pool Size=4;Application Name=tributary").Build();

    /// <summary>Where the feed writes.</summary>
    public PostgresUrl Url { get; } = new() { Host = server.SocketDirectory, User = OwnMain.Superuser, Database = options.Database };

    /// <summary>
    /// Makes it as production's is, and its roles, which policies name: none can log in. Where this machine has not the order of text, it is that
    /// of bytes, which changes what sorts and nothing else, since every index is made here.
    /// </summary>
    /// <exception cref="NpgsqlException">Production or main does not answer.</exception>
    public async Task MakeAsync(CancellationToken cancellationToken)
    {
        var (roles, encoding, collate, ctype) = await AskProductionAsync(cancellationToken);
        await using var connection = await SuperuserCommand.OpenAsync(server.ConnectionString("postgres"), cancellationToken);
        foreach (var role in roles)
            await OwnMain.EnsureRoleAsync(connection, role, cancellationToken);

        if (await OwnMain.HasDatabaseAsync(connection, options.Database, cancellationToken))
            return;
        var create = $"CREATE DATABASE {SqlQuoting.Identifier(options.Database)} TEMPLATE template0 ENCODING {SqlQuoting.Literal(encoding)}";
        try
        {
            await connection.ExecuteAsync($"{create} LC_COLLATE {SqlQuoting.Literal(collate)} LC_CTYPE {SqlQuoting.Literal(ctype)}", cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.InvalidParameterValue or PostgresErrorCodes.WrongObjectType)
        {
            Log.LocaleMissing(logger, collate, exception.MessageText);
            await connection.ExecuteAsync($"{create} LC_COLLATE 'C' LC_CTYPE 'C'", cancellationToken);
        }
    }

    /// <summary>Production's position that all of it is at, and when it got there.</summary>
    /// <exception cref="NpgsqlException">Main does not answer.</exception>
    public async Task<(Lsn Lsn, DateTimeOffset At)> ProgressAsync(CancellationToken cancellationToken)
    {
        await using var command = _source.CreateCommand(Progress);
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>Reads the same in a copy, and removes the feed's traces from it: a branch is production's database and nothing else.</summary>
    /// <param name="copy">A session of the superuser on the copy.</param>
    public async Task<Lsn> SeparateAsync(NpgsqlConnection copy, CancellationToken cancellationToken)
    {
        await using var inside = await SuperuserCommand.OpenAsync(
            new NpgsqlConnectionStringBuilder(copy.ConnectionString) { Database = options.Database }.ConnectionString, cancellationToken);
        await using var command = new NpgsqlCommand(Progress, inside);
        var (lsn, _) = await ReadAsync(command, cancellationToken);
        await inside.ExecuteAsync(Separate, cancellationToken);
        return lsn;
    }

    /// <summary>Forgets connections to a server that has ended.</summary>
    public void Clear() => _source.Clear();

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    async Task<(string[] Roles, string Encoding, string Collate, string Ctype)> AskProductionAsync(CancellationToken cancellationToken)
    {
        await using var source = options.OpenProduction();
        await using var command = source.CreateCommand(
            """
            SELECT (SELECT string_agg(rolname::text, E'\n') FROM pg_roles WHERE rolname !~ '^pg_'), pg_encoding_to_char(encoding), datcollate::text, datctype::text
            FROM pg_database WHERE datname = current_database()
            """);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        return (row.GetString(0).Split('\n'), row.GetString(1), row.GetString(2), row.GetString(3));
    }

    static async Task<(Lsn Lsn, DateTimeOffset At)> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken)
            ? (Lsn.Parse(row.GetString(0)), new DateTimeOffset(row.GetDateTime(1), TimeSpan.Zero))
            : throw new NpgsqlException("Main's database does not say how far it is.");
    }
}
