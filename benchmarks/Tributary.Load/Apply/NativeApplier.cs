using Tributary.Postgres.Programs;

namespace Tributary.Load.Apply;

/// <summary>Postgres's own subscription, in binary, with <c>synchronous_commit</c> off as is its default.</summary>
sealed class NativeApplier(PostgresServer production, PostgresServer target, string database) : IApplier
{
    public Role Role => Role.Peer;

    public string Contestant => "native subscription";

    public string Target => target.ConnectionString(database);

    public async Task PrepareAsync(CancellationToken cancellationToken)
    {
        await BacklogTables.ExecuteAsync(production.ConnectionString(database), "CREATE PUBLICATION native FOR TABLE accounts, documents, done", cancellationToken);
        await BacklogTables.ExecuteAsync(Target, BacklogTables.Tables, cancellationToken);
        await BacklogTables.ExecuteAsync(Target, BacklogTables.Rows, cancellationToken);
        await BacklogTables.ScalarAsync(production.ConnectionString(database), $"SELECT pg_create_logical_replication_slot('native_{database}', 'pgoutput')", cancellationToken);
        await BacklogTables.ExecuteAsync(
            Target,
            $"CREATE SUBSCRIPTION native_{database} CONNECTION 'host=127.0.0.1 port={production.Port} user=postgres dbname={database}' PUBLICATION native " +
            $"WITH (create_slot = false, slot_name = 'native_{database}', copy_data = false, enabled = false, binary = true, synchronous_commit = 'off')", cancellationToken);
    }

    public Task StartAsync(CancellationToken cancellationToken) =>
        BacklogTables.ExecuteAsync(Target, $"ALTER SUBSCRIPTION native_{database} ENABLE", cancellationToken);

    public async Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken) =>
    [
        .. await BacklogTables.IntegersAsync(production.ConnectionString(), $"SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'native_{database}' AND active", cancellationToken),
        .. await BacklogTables.IntegersAsync(Target, "SELECT pid FROM pg_stat_subscription WHERE pid IS NOT NULL", cancellationToken),
    ];

    public async ValueTask DisposeAsync()
    {
        await BacklogTables.ExecuteAsync(Target, $"ALTER SUBSCRIPTION native_{database} DISABLE", CancellationToken.None);
    }
}
