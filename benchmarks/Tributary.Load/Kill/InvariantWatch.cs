using Npgsql;

namespace Tributary.Load.Kill;

/// <summary>
/// Reads the workload's invariants at the target, again and again, from the moment at which the copy is whole: a transaction that is applied
/// in part, or out of order, shows here even if a later one makes up for it.
/// </summary>
sealed class InvariantWatch : IAsyncDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);

    readonly CancellationTokenSource _stop = new();
    readonly Task _watching;

    InvariantWatch(string target) => _watching = WatchAsync(target);

    public static InvariantWatch Start(string target) => new(target);

    /// <summary>Snapshots that were read.</summary>
    public long Reads { get; private set; }

    /// <summary>Snapshots that broke an invariant.</summary>
    public long Broken { get; private set; }

    /// <summary>What the first of them broke.</summary>
    public string? First { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
    }

    async Task WatchAsync(string target)
    {
        await using var connection = new NpgsqlConnection(target);
        await connection.OpenAsync();
        while (!await IsStreamingAsync(connection))
        {
            if (_stop.IsCancellationRequested)
                return;
            await Task.Delay(Interval, TimeProvider.System);
        }

        await using var command = new NpgsqlCommand(KillWorkload.Broken, connection);
        while (!_stop.IsCancellationRequested)
        {
            var broken = (string)(await command.ExecuteScalarAsync())!;
            Reads++;
            if (broken.Length > 0)
            {
                Broken++;
                First ??= broken;
            }

            await Task.Delay(Interval, TimeProvider.System);
        }
    }

    static async Task<bool> IsStreamingAsync(NpgsqlConnection connection)
    {
        await using var exists = new NpgsqlCommand("SELECT to_regclass('tributary.progress') IS NOT NULL", connection);
        if (await exists.ExecuteScalarAsync() is not true)
            return false;
        await using var state = new NpgsqlCommand("SELECT state FROM tributary.progress", connection);
        return await state.ExecuteScalarAsync() is "streaming";
    }
}
