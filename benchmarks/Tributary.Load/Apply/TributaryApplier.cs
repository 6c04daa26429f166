using System.Text.Json;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Apply;

/// <summary>Tributary's program with its defaults, the wait for the target's disk included.</summary>
sealed class TributaryApplier(PostgresServer production, PostgresServer target, string database, string folder) : IApplier
{
    readonly string[] _settings =
    [
        $"source: {{ url: '{production.Url(database)}' }}",
        $"streams: [ {{ name: {database}, target: {{ postgres: {{ url: '{target.Url(database)}' }} }} }} ]",
    ];

    TributaryServer? _server;

    public Role Role => Role.Ours;

    public string Contestant => "tributary";

    public string Target => target.ConnectionString(database);

    public async Task PrepareAsync(CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        // Its own would be for all tables, and those that another contestant puts there would be in it.
        await BacklogTables.ExecuteAsync(production.ConnectionString(database), $"CREATE PUBLICATION tributary_{database} FOR TABLE accounts, documents, done", cancellationToken);
        await using var server = await TributaryServer.StartAsync(folder, _settings, IsStreaming, cancellationToken);
    }

    public async Task StartAsync(CancellationToken cancellationToken) =>
        _server = await TributaryServer.StartAsync(folder, _settings, static _ => true, cancellationToken);

    public async Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken) =>
    [
        _server!.ProcessId,
        .. await BacklogTables.IntegersAsync(production.ConnectionString(), "SELECT active_pid FROM pg_replication_slots WHERE slot_name LIKE 'tributary%' AND active", cancellationToken),
        .. await BacklogTables.IntegersAsync(Target, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tributary%'", cancellationToken),
    ];

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
    }

    static bool IsStreaming(JsonElement status) =>
        status.GetProperty("streams")[0].TryGetProperty("phase", out var phase) && phase.GetString() == "streaming";
}
