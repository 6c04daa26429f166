namespace Tributary.Branching;

/// <summary>A running branch, held awake until disposed. Disposing twice counts once.</summary>
public sealed class ComputeLease : IAsyncDisposable
{
    Action? _release;

    internal ComputeLease(Action release) => _release = release;

    /// <summary>Path of the Unix socket of the branch's Postgres (the socket file itself).</summary>
    public required string SocketPath { get; init; }

    /// <summary>Null when it already ran; else how long the start took.</summary>
    public TimeSpan? WakeTime { get; init; }

    public ValueTask DisposeAsync()
    {
        Interlocked.Exchange(ref _release, null)?.Invoke();
        return ValueTask.CompletedTask;
    }
}
