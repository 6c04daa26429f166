using Tributary.Postgres.Programs;

namespace Tributary.Load.Latency;

/// <summary>Tributary's stream from production to a replica of its own.</summary>
sealed class TributaryStream(PostgresServer production, PostgresServer replica, TributaryServer tributary) : IReplicator
{
    public Role Role => Role.Ours;

    public string Contestant => "tributary";

    public string Replica => replica.ConnectionString();

    public static async Task<TributaryStream> StartAsync(PostgresServer production, PostgresServer replica, string folder, CancellationToken cancellationToken)
    {
        string[] settings = [$"source: {{ url: '{production.Url()}' }}", $"streams: [ {{ name: replica, target: {{ postgres: {{ url: '{replica.Url()}' }} }} }} ]"];
        var tributary = await TributaryServer.StartAsync(
            folder, settings, static status => status.GetProperty("streams")[0].TryGetProperty("phase", out var phase) && phase.GetString() == "streaming", cancellationToken);
        return new TributaryStream(production, replica, tributary);
    }

    public async Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken) =>
    [
        tributary.ProcessId,
        .. await MarkedTables.IntegersAsync(production.ConnectionString(), "SELECT active_pid FROM pg_replication_slots WHERE slot_name LIKE 'tributary%' AND active", cancellationToken),
        .. await MarkedTables.IntegersAsync(Replica, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tributary%'", cancellationToken),
    ];

    public ValueTask DisposeAsync() => tributary.DisposeAsync();
}
