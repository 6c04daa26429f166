using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>Our own connections to servers of ours.</summary>
internal static class SuperuserCommand
{
    /// <summary>The first version with the setting <c>event_triggers</c>, and with triggers on logins.</summary>
    const int EventTriggersSettingMajor = 17;

    /// <summary>
    /// The search path leaves nothing that a branch's owner makes in a place where a name or an operator of ours would find it first; it goes over what
    /// the owner has set for the database. No event trigger of production's is fired: one that meets each login may keep us out, and one that meets each
    /// command refuse ours. Before version 17, which has the setting, a session that acts for a replica fires none; in 17 and later that would try
    /// to lock the database where there is a login trigger, which a standby refuses (EventTriggerOnLogin in src/backend/commands/event_trigger.c). Messages are in English, since some are read.
    /// </summary>
    public static string ConnectionString(string socketDirectory, string superuser, string database, int major) => new NpgsqlConnectionStringBuilder
    {
        Host = socketDirectory,
        Username = superuser,
        Database = database,
        SearchPath = "pg_catalog",
        // Of what a command says, its number of rows is in the detail.
        IncludeErrorDetail = true,
        Options = (major >= EventTriggersSettingMajor ? "-c event_triggers=off" : "-c session_replication_role=replica") + " -c lc_messages=C",
        Pooling = false,
        ApplicationName = "tributary",
    }.ConnectionString;

    /// <exception cref="NpgsqlException">The server refuses, or does not answer.</exception>
    public static async Task<NpgsqlConnection> OpenAsync(string connectionString, CancellationToken cancellationToken)
    {
        // A connection that is made of a string alone leaves its source in a list of Npgsql's for good, one for each socket that there ever was
        // (https://github.com/npgsql/npgsql/issues/3387). A source may go before its connection does.
        await using var source = NpgsqlDataSource.Create(connectionString);
        return await source.OpenConnectionAsync(cancellationToken);
    }

    /// <summary>The databases of a server that can be entered. One whose removal was interrupted cannot (its limit is -2).</summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public static async Task<IReadOnlyList<string>> DatabasesAsync(this NpgsqlConnection connection, bool withTemplates, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"SELECT datname::text FROM pg_catalog.pg_database WHERE datallowconn AND datconnlimit <> -2{(withTemplates ? "" : " AND NOT datistemplate")}", connection);
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        List<string> names = [];
        while (await rows.ReadAsync(cancellationToken))
            names.Add(rows.GetString(0));
        return names;
    }

    /// <summary>
    /// Where production's log ended for a server that has replayed it. After the end of recovery it stays what it was
    /// (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL); a clean image that had nothing to replay
    /// is at its last checkpoint.
    /// </summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public static async Task<Lsn> ReplayedAsync(this NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT coalesce(pg_last_wal_replay_lsn(), (SELECT redo_lsn FROM pg_control_checkpoint()))::text", connection);
        return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    /// <summary>Where the replay of the server's data would begin: its last checkpoint or restart point.</summary>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public static async Task<Lsn> RestartPointAsync(this NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT redo_lsn::text FROM pg_control_checkpoint()", connection);
        return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    /// <summary>Runs a command whose answer does not matter on a connection of our own.</summary>
    /// <exception cref="NpgsqlException">The server refuses, or does not answer.</exception>
    public static async Task ExecuteAsync(this NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
