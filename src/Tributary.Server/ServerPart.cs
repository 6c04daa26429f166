using Microsoft.Extensions.Logging;
using Tributary.Contracts;

namespace Tributary.Server;

/// <summary>
/// Owns the loop of one part of the server, so that a part that fails is shown as failed and takes no other with it.
/// Started once, stopped once; both by the host, on one thread at a time. State and error may be read from any thread.
/// </summary>
sealed class ServerPart(string name, Func<CancellationToken, Task> run, TimeProvider timeProvider, ILogger logger) : IAsyncDisposable
{
    /// <summary>How long a part may take to stop: a stream writes its last batch, a branch's Postgres its checkpoint.</summary>
    static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(30);

    readonly CancellationTokenSource _stop = new();
    Task _loop = Task.CompletedTask;
    volatile string? _error;
    volatile PartState _state = PartState.Starting;

    public string Name => name;

    public PartState State => _state;

    /// <summary>Why it failed, for people.</summary>
    public string? Error => _error;

    public void Start()
    {
        Log.PartStarts(logger, name);
        _loop = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <summary>Asks the loop to end and waits for it, for a limited time.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await _loop.WaitAsync(StopLimit, timeProvider);
        }
        catch (TimeoutException)
        {
            Log.PartStopsLate(logger, name, StopLimit);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    async Task RunAsync()
    {
        try
        {
            _state = PartState.Running;
            await run(_stop.Token);
            // A loop that ends although nobody asked has nothing more to do that this server knows of; the part tells why in its own status.
            _state = PartState.Stopped;
            Log.PartStopped(logger, name);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            _state = PartState.Stopped;
            Log.PartStopped(logger, name);
        }
        catch (PartFailedException exception)
        {
            Fail(exception.Message);
            Log.PartEnded(logger, name, exception.Message);
        }
        catch (Exception exception)
        {
            Fail(exception.Message);
            Log.PartFailed(logger, name, exception);
        }
    }

    void Fail(string error)
    {
        _error = error;
        _state = PartState.Failed;
    }
}

/// <summary>A part ends by an expected failure; the message says what failed, on what, and what to do.</summary>
sealed class PartFailedException(string message) : Exception(message);
