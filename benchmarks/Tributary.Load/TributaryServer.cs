using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Tributary.Contracts.Client;
using Tributary.Postgres.Programs;

namespace Tributary.Load;

/// <summary>
/// The product as a user has it: the native binary runs <c>up</c> on a configuration file and answers over its API. Nothing of ours is
/// called but by its public face. Disposing it stops it in order.
/// </summary>
sealed class TributaryServer : IAsyncDisposable
{
    // A base backup of gigabytes takes some minutes; a server that ends is noticed at once.
    static readonly TimeSpan ReadyTimeout = TimeSpan.FromMinutes(15);
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);

    readonly Process _process;
    readonly string _log;

    TributaryServer(Process process, string log, string socket) => (_process, _log, Api, Client) = (process, log, NewClient(socket), new TributaryClient(socket));

    public HttpClient Api { get; }

    /// <summary>The same API with its requests and answers typed.</summary>
    public TributaryClient Client { get; }

    public int ProcessId => _process.Id;

    /// <summary>The binary that <c>./bench</c> has built.</summary>
    static string Binary => Environment.GetEnvironmentVariable("TRIBUTARY_BINARY")
        ?? throw new InvalidOperationException("TRIBUTARY_BINARY names no binary. Run the benchmark with ./bench, which builds it.");

    /// <param name="folder">Holds configuration, state and log.</param>
    /// <param name="settings">Lines of the configuration beside the state folder and the API.</param>
    /// <param name="isReady">Asked of the status until it is so.</param>
    /// <exception cref="ChildProcessException">It did not start or become ready; the message holds its last words.</exception>
    public static async Task<TributaryServer> StartAsync(string folder, IReadOnlyList<string> settings, Func<JsonElement, bool> isReady, CancellationToken cancellationToken)
    {
        var socket = Path.Combine(folder, "api.sock");
        var configuration = Path.Combine(folder, "tributary.yaml");
        await File.WriteAllLinesAsync(configuration, [$"state: {Path.Combine(folder, "state")}", $"api: {{ socket: {socket} }}", .. settings], cancellationToken);
        var log = Path.Combine(folder, "tributary.log");
        var process = await ChildProcesses.StartAsync(
            new ChildProcessSpec(Binary, ["up", "-c", configuration]) { ParentDeathSignal = "TERM", LogFile = log }, cancellationToken);
        var server = new TributaryServer(process, log, socket);
        try
        {
            await server.WaitAsync(isReady, cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        Api.Dispose();
        Client.Dispose();
        if (!_process.HasExited)
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "TERM", $"{_process.Id}"]), CancellationToken.None);
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
    }

    /// <summary>Waits until the server's status is as wanted.</summary>
    /// <exception cref="ChildProcessException">It has ended, or takes too long.</exception>
    public async Task WaitAsync(Func<JsonElement, bool> isReady, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < ReadyTimeout && !_process.HasExited)
        {
            if (await StatusAsync(cancellationToken) is { } status && isReady(status))
                return;
            await Task.Delay(PollInterval, TimeProvider.System, cancellationToken);
        }

        throw new ChildProcessException($"Tributary did not become ready; the end of its log says: {string.Join(" | ", File.ReadLines(_log).TakeLast(5))}");
    }

    async Task<JsonElement?> StatusAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await Api.GetFromJsonAsync<JsonElement>("v1/status", cancellationToken);
        }
        catch (HttpRequestException)
        {
            return null; // It does not listen yet.
        }
    }

    static HttpClient NewClient(string socketPath) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    })
    { BaseAddress = new Uri("http://tributary/"), DefaultRequestVersion = HttpVersion.Version11 };
}
