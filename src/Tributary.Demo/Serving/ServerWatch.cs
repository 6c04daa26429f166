using Tributary.Contracts;
using Tributary.Contracts.Client;

namespace Tributary.Demo.Serving;

/// <summary>Follows the server's own status while it gets ready, and tells it.</summary>
sealed class ServerWatch(TributaryClient client, INarrator narrator, TimeProvider time)
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>Longer than any step takes; a server that is stuck ends the demonstration with its status in place of waiting for ever.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    /// <summary>Waits until the existing rows are in the replica and changes flow.</summary>
    public Task<StatusResponse> StreamAsync(CancellationToken cancellationToken) => UntilAsync("the stream to follow production", status =>
    {
        var stream = status.Streams[0];
        if (stream.State == PartState.Failed)
            throw new DemoException($"The stream stopped: {stream.Error}");
        var streams = string.Equals(stream.Phase, "streaming", StringComparison.OrdinalIgnoreCase);
        narrator.Progress("existing rows to the replica", streams ? 1 : stream.RowsEstimated == 0 ? 0 : Math.Min(0.99, (double)stream.RowsCopied / stream.RowsEstimated));
        return streams && stream.LagMsP50 is not null;
    }, cancellationToken);

    /// <summary>Waits until main follows production and a seed is ready.</summary>
    public Task<StatusResponse> SeedAsync(CancellationToken cancellationToken) => UntilAsync("the first seed", status =>
    {
        var branching = status.Branching;
        if (branching.State == PartState.Failed)
            throw new DemoException($"Branching stopped: {branching.Error}");
        narrator.Progress("base backup of production into the pool", branching.Seeds.Count > 0 || branching.Phase is "following" or "catchingUp" ? 1 : Math.Min(0.99, (branching.BaseBackupPercent ?? 0) / 100));
        return branching.Seeds.Count > 0;
    }, cancellationToken);

    public async Task<StatusResponse> NowAsync(CancellationToken cancellationToken)
    {
        var status = await client.GetStatusAsync(cancellationToken);
        return status.Succeeded ? status.Value : throw new DemoException($"The server does not answer: {status.Problem.Detail}");
    }

    async Task<StatusResponse> UntilAsync(string what, Func<StatusResponse, bool> reached, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var status = await NowAsync(cancellationToken);
            if (reached(status))
                return status;
            if (time.GetElapsedTime(started) > Limit)
                throw new DemoException($"Waited {Limit.TotalMinutes:0} minutes for {what}. Streaming: {status.Streams[0].Phase} {status.Streams[0].Error}; branching: {status.Branching.Phase} {status.Branching.Error}");
            await Task.Delay(Interval, time, cancellationToken);
        }
    }
}
