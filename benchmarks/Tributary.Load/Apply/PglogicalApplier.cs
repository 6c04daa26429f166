using System.Diagnostics;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Apply;

/// <summary>The extension pglogical, whose settings are its defaults: <c>synchronous_commit</c> is off.</summary>
sealed class PglogicalApplier(PostgresServer production, PostgresServer target, string database) : IApplier
{
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan SettleTimeout = TimeSpan.FromSeconds(60);

    public Role Role => Role.Peer;

    public string Contestant => "pglogical";

    public string Target => target.ConnectionString(database);

    /// <summary>Whether the server's installation has it.</summary>
    public static bool IsInstalled(PostgresInstallation installation) =>
        File.Exists($"/usr/share/postgresql/{installation.Major}/extension/pglogical.control");

    public async Task PrepareAsync(CancellationToken cancellationToken)
    {
        var source = production.ConnectionString(database);
        await BacklogTables.ExecuteAsync(source, "CREATE EXTENSION pglogical", cancellationToken);
        await BacklogTables.ExecuteAsync(
            source, $"SELECT pglogical.create_node('provider', 'host=127.0.0.1 port={production.Port} user=postgres dbname={database}'), " +
            "pglogical.replication_set_add_table('default', 'accounts'), pglogical.replication_set_add_table('default', 'documents'), pglogical.replication_set_add_table('default', 'done')", cancellationToken);
        await BacklogTables.ExecuteAsync(Target, BacklogTables.Tables, cancellationToken);
        await BacklogTables.ExecuteAsync(Target, BacklogTables.Rows, cancellationToken);
        await BacklogTables.ExecuteAsync(Target, "CREATE EXTENSION pglogical", cancellationToken);
        await BacklogTables.ExecuteAsync(Target, $"SELECT pglogical.create_node('subscriber', 'host=127.0.0.1 port={target.Port} user=postgres dbname={database}')", cancellationToken);
        await BacklogTables.ExecuteAsync(
            Target, $"SELECT pglogical.create_subscription('replica', 'host=127.0.0.1 port={production.Port} user=postgres dbname={database}', synchronize_data := false)", cancellationToken);
        var started = Stopwatch.GetTimestamp();
        while (await BacklogTables.ScalarAsync(Target, "SELECT status FROM pglogical.show_subscription_status()", cancellationToken) is not "replicating")
        {
            if (Stopwatch.GetElapsedTime(started) > SettleTimeout)
                throw new ChildProcessException("pglogical did not begin to replicate; the target's log tells more.");
            await Task.Delay(PollInterval, TimeProvider.System, cancellationToken);
        }

        await BacklogTables.ExecuteAsync(Target, "SELECT pglogical.alter_subscription_disable('replica', immediate := true)", cancellationToken);
    }

    public Task StartAsync(CancellationToken cancellationToken) =>
        BacklogTables.ExecuteAsync(Target, "SELECT pglogical.alter_subscription_enable('replica', immediate := true)", cancellationToken);

    public async Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken) =>
    [
        .. await BacklogTables.IntegersAsync(production.ConnectionString(), $"SELECT active_pid FROM pg_replication_slots WHERE plugin = 'pglogical_output' AND database = '{database}' AND active", cancellationToken),
        .. await BacklogTables.IntegersAsync(Target, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'pglogical apply%'", cancellationToken),
    ];

    public async ValueTask DisposeAsync() =>
        await BacklogTables.ExecuteAsync(Target, "SELECT pglogical.alter_subscription_disable('replica', immediate := true)", CancellationToken.None);
}
