using Tributary.Postgres.Programs;

namespace Tributary.Load.Latency;

/// <summary>Postgres's own logical replication: <c>CREATE SUBSCRIPTION</c> with its defaults.</summary>
sealed class NativeSubscription(PostgresServer production, PostgresServer replica) : IReplicator
{
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);

    public Role Role => Role.Peer;

    public string Contestant => "native subscription";

    public string Replica => replica.ConnectionString();

    public static async Task<NativeSubscription> StartAsync(PostgresServer production, PostgresServer replica, CancellationToken cancellationToken)
    {
        await MarkedTables.ExecuteAsync(production.ConnectionString(), "CREATE PUBLICATION native FOR TABLE marks, orders", cancellationToken);
        await MarkedTables.ExecuteAsync(replica.ConnectionString(), MarkedTables.Tables, cancellationToken);
        await MarkedTables.ExecuteAsync(
            replica.ConnectionString(), $"CREATE SUBSCRIPTION native CONNECTION 'host=127.0.0.1 port={production.Port} user=postgres dbname=postgres' PUBLICATION native", cancellationToken);
        // 'r' is ready: the table's rows are copied and its changes follow (pg_subscription_rel).
        while (await MarkedTables.IntegersAsync(replica.ConnectionString(), "SELECT 1 FROM pg_subscription_rel WHERE srsubstate = 'r'", cancellationToken) is not { Count: 2 })
            await Task.Delay(PollInterval, TimeProvider.System, cancellationToken);
        return new NativeSubscription(production, replica);
    }

    public async Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken) =>
    [
        .. await MarkedTables.IntegersAsync(production.ConnectionString(), "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'native' AND active", cancellationToken),
        .. await MarkedTables.IntegersAsync(Replica, "SELECT pid FROM pg_stat_subscription WHERE subname = 'native' AND pid IS NOT NULL", cancellationToken),
    ];

    public ValueTask DisposeAsync() => default;
}
