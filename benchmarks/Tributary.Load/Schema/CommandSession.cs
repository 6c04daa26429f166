using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Schema;

/// <summary>The one session that changes the source's schema.</summary>
sealed class CommandSession : IAsyncDisposable
{
    // Writers hold their locks for milliseconds; a command that waits longer would only stop them.
    const string Settings = ";Pooling=false;Options=-c lock_timeout=3s -c statement_timeout=30s -c client_min_messages=warning";

    readonly PostgresServer _source;
    readonly NpgsqlConnection _connection;
    readonly Dictionary<string, (int Done, int Failed)> _kinds = [];
    readonly List<string> _reasons = [];
    readonly StreamWriter _log;

    CommandSession(PostgresServer source, NpgsqlConnection connection, StreamWriter log) => (_source, _connection, _log) = (source, connection, log);

    /// <summary>What there was before the running command.</summary>
    public SchemaPicture Picture { get; private set; } = new([], [], []);

    public int Done => _kinds.Values.Sum(static kind => kind.Done);

    public int Failed => _kinds.Values.Sum(static kind => kind.Failed);

    public int KindsDone => _kinds.Count(static kind => kind.Value.Done > 0);

    /// <summary>The most frequent reasons of failure.</summary>
    public string Reasons => string.Join(", ", _reasons.GroupBy(static reason => reason).OrderByDescending(static group => group.Count()).Take(6).Select(static group => $"{group.Key}: {group.Count()}"));

    /// <param name="log">Every command goes there, with its time and its failure.</param>
    public static async Task<CommandSession> OpenAsync(PostgresServer source, string log, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(source.ConnectionString() + Settings);
        await connection.OpenAsync(cancellationToken);
        var session = new CommandSession(source, connection, new StreamWriter(log) { AutoFlush = true });
        await session.LookAsync(cancellationToken);
        return session;
    }

    public async Task LookAsync(CancellationToken cancellationToken) => Picture = await SchemaPicture.ReadAsync(_connection, cancellationToken);

    public async Task RunAsync(SchemaCommand command, CancellationToken cancellationToken)
    {
        var failure = command.IsOneString ? await StringAsync(command.Sql, cancellationToken) : await StatementsAsync(command.Sql, cancellationToken);
        await _log.WriteLineAsync($"-- {DateTime.UtcNow:HH:mm:ss.fff} {command.Kind}{(failure is null ? "" : $" FAILED: {failure}")}\n{command.Sql};");
        var (done, failed) = _kinds.GetValueOrDefault(command.Kind);
        _kinds[command.Kind] = failure is null ? (done + 1, failed) : (done, failed + 1);
        if (failure is not null)
            _reasons.Add($"{command.Kind} ({failure.Split('"')[0].Trim()})");
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _log.DisposeAsync();
    }

    async Task<string?> StatementsAsync(string sql, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand(sql, _connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
            return null;
        }
        catch (PostgresException exception)
        {
            if (sql.StartsWith("BEGIN", StringComparison.Ordinal))
            {
                await using var undo = new NpgsqlCommand("ROLLBACK", _connection);
                await undo.ExecuteNonQueryAsync(cancellationToken);
            }

            return $"{exception.SqlState} {exception.MessageText}";
        }
    }

    // The driver would send the statements one by one; psql sends an argument of -c as it is.
    async Task<string?> StringAsync(string sql, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(
            new ChildProcessSpec(
                _source.Installation.ClientProgram("psql"),
                ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--host=127.0.0.1", $"--port={_source.Port}", "--username=postgres", "-d", "postgres", "-c", "SET lock_timeout = '3s'", "-c", sql]),
            cancellationToken);
        return result.Succeeded ? null : result.StandardError.Split('\n')[0];
    }
}
