using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Npgsql;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Create;

/// <summary>
/// The product as a user has it: the native binary follows a production with the same data, a branch is asked for over the API and entered
/// through the gateway with the ordinary driver. Nothing of ours is called but by its public face.
/// </summary>
sealed class TributaryBranches : IBranchMaker, IAsyncDisposable
{
    static readonly TimeSpan FirstSeedTimeout = TimeSpan.FromMinutes(3);
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);

    readonly PostgresServer _production;
    readonly Process _tributary;
    readonly HttpClient _api;

    TributaryBranches(PostgresServer production, Process tributary, HttpClient api)
    {
        _production = production;
        _tributary = tributary;
        _api = api;
    }

    public Role Role => Role.Ours;

    public string Contestant => "tributary";

    public double CpuMs => ProcessMeter.CpuMs(_tributary.Id);

    /// <summary>The binary that <c>./bench</c> has built.</summary>
    static string Binary => Environment.GetEnvironmentVariable("TRIBUTARY_BINARY")
        ?? throw new InvalidOperationException("TRIBUTARY_BINARY names no binary. Run the benchmark with ./bench, which builds it.");

    /// <summary>Starts a production and Tributary on it, and waits for the first seed.</summary>
    /// <exception cref="ChildProcessException">One of them did not start; the message holds its last words.</exception>
    public static async Task<TributaryBranches> StartAsync(PostgresInstallation installation, string folder, CancellationToken cancellationToken)
    {
        var production = await PostgresServer.CreateAsync(installation, Path.Combine(folder, "production"), ["wal_level = logical", "shared_buffers = 64MB"], cancellationToken);
        TributaryBranches? branches = null;
        try
        {
            await SeedDirectory.FillAsync(production, cancellationToken);
            var socket = Path.Combine(folder, "api.sock");
            var configuration = Path.Combine(folder, "tributary.yaml");
            await File.WriteAllLinesAsync(
                configuration,
                [
                    $"state: {Path.Combine(folder, "state")}", $"source: {{ url: '{production.Url()}' }}", "branching: { driver: btrfs, pool-size: 8GiB }",
                    "gateway: { listen: 127.0.0.1:0 }", $"api: {{ socket: {socket} }}",
                ],
                cancellationToken);
            var log = Path.Combine(folder, "tributary.log");
            var process = await ChildProcesses.StartAsync(
                new ChildProcessSpec(Binary, ["up", "-c", configuration]) { ParentDeathSignal = "TERM", LogFile = log }, cancellationToken);
            branches = new TributaryBranches(production, process, NewClient(socket));
            await branches.WaitForSeedAsync(log, cancellationToken);
            return branches;
        }
        catch
        {
            await (branches?.DisposeAsync() ?? production.DisposeAsync());
            throw;
        }
    }

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var memoryBefore = ProcessMeter.TreeBytes(_tributary.Id);
        var started = Stopwatch.GetTimestamp();
        using var answer = await _api.PostAsJsonAsync("v1/branches", new { name }, cancellationToken);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
        if (!answer.IsSuccessStatusCode)
            throw new InvalidOperationException($"Tributary refused the branch {name}: {body}");
        var created = Stopwatch.GetElapsedTime(started);
        await using (var connection = new NpgsqlConnection(ConnectionString(body)))
        {
            await connection.OpenAsync(cancellationToken);
            await using var command = new NpgsqlCommand(SeedDirectory.FirstRowQuery, connection);
            var row = await command.ExecuteScalarAsync(cancellationToken);
            if ($"{row}" != SeedDirectory.FirstRow)
                throw new InvalidOperationException($"The branch {name} answered {row} instead of {SeedDirectory.FirstRow}.");
            var elapsed = Stopwatch.GetElapsedTime(started);
            return new MadeBranch(
                elapsed, [("create over the API", created), ("connect, wake, query", elapsed - created)],
                ProcessMeter.TreeBytes(_tributary.Id) - memoryBefore, () => RemoveAsync(name));
        }
    }

    public async ValueTask DisposeAsync()
    {
        _api.Dispose();
        if (!_tributary.HasExited)
            (await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "TERM", $"{_tributary.Id}"]), CancellationToken.None)).EnsureSucceeded("kill");
        await _tributary.WaitForExitAsync(CancellationToken.None);
        _tributary.Dispose();
        await _production.DisposeAsync();
    }

    async ValueTask RemoveAsync(string name)
    {
        using var answer = await _api.DeleteAsync(new Uri($"v1/branches/{name}", UriKind.Relative), CancellationToken.None);
        answer.EnsureSuccessStatusCode();
    }

    async Task WaitForSeedAsync(string log, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < FirstSeedTimeout && !_tributary.HasExited)
        {
            if (await HasSeedAsync(cancellationToken))
                return;
            await Task.Delay(PollInterval, TimeProvider.System, cancellationToken);
        }

        throw new ChildProcessException($"Tributary has made no seed; the end of its log says: {string.Join(" | ", File.ReadLines(log).TakeLast(5))}");
    }

    async Task<bool> HasSeedAsync(CancellationToken cancellationToken)
    {
        try
        {
            var status = await _api.GetFromJsonAsync<JsonElement>("v1/status", cancellationToken);
            return status.GetProperty("branching").TryGetProperty("seeds", out var seeds) && seeds.GetArrayLength() > 0;
        }
        catch (HttpRequestException)
        {
            return false; // It does not listen yet.
        }
    }

    // Each branch is entered once, so a pool of connections would only keep branches awake.
    static string ConnectionString(JsonElement branch) => new NpgsqlConnectionStringBuilder
    {
        Host = branch.GetProperty("host").GetString(),
        Port = branch.GetProperty("port").GetInt32(),
        Username = branch.GetProperty("user").GetString(),
        Password = Uri.UnescapeDataString(new Uri(branch.GetProperty("url").GetString()!).UserInfo.Split(':')[1]),
        Database = branch.GetProperty("database").GetString(),
        Options = $"-c branch={branch.GetProperty("name").GetString()}",
        Pooling = false,
    }.ConnectionString;

    static HttpClient NewClient(string socketPath) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri("http://tributary/"), DefaultRequestVersion = HttpVersion.Version11 };
}
