using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using Npgsql;
using Tributary.Cli.Tests.Support;
using Tributary.Testing;

namespace Tributary.Cli.Tests;

/// <summary><c>tributary stream run --to stdout</c> as a shell runs it: through a pipe.</summary>
public sealed class StreamLinesTests
{
    static readonly Dictionary<string, string> NoEnvironment = [];

    [Fact]
    public async Task A_pipe_gets_every_change_also_after_a_kill_and_its_end_is_told()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.NewDatabaseAsync();
        await ExecuteAsync(source, "CREATE TABLE orders (id int PRIMARY KEY)");
        var folder = TestFolder.New("lines");
        var checkpoint = Path.Combine(folder, "state", "a.checkpoint");
        string[] selection = ["--source", postgres.Url(Database(source)), "--to", "stdout", "--name", "cli_lines", "--checkpoint", checkpoint];
        var port = FreePort();
        using (var killed = Start(folder, [.. selection, "--metrics-address", $"127.0.0.1:{port}"]))
        {
            await UntilBeginsAsync(killed);
            await ExecuteAsync(source, "INSERT INTO orders VALUES (1)");
            Assert.Equal(1, await NextIdAsync(killed));
            using var http = new HttpClient();
            Assert.Contains("""tributary_stream_phase{""", await http.GetStringAsync($"http://127.0.0.1:{port}/metrics", TributaryProgram.Token), StringComparison.Ordinal);
            killed.Kill();
            await killed.WaitForExitAsync(TributaryProgram.Token);
        }

        await ExecuteAsync(source, "INSERT INTO orders VALUES (2)");
        using (var again = Start(folder, selection))
        {
            // The line before the kill may come again; what came behind it comes in any case.
            int id;
            while ((id = await NextIdAsync(again)) != 2)
                Assert.Equal(1, id);
            again.StandardOutput.Close();
            await ExecuteAsync(source, "INSERT INTO orders VALUES (3)");
            var error = await again.StandardError.ReadToEndAsync(TributaryProgram.Token);
            await again.WaitForExitAsync(TributaryProgram.Token);
            Assert.Equal(6, again.ExitCode);
            Assert.Contains("takes no more lines", error, StringComparison.Ordinal);
        }

        var destroyed = await TributaryProgram.RunInAsync(folder, NoEnvironment, ["stream", "destroy", .. selection, "--yes", "-o", "json"]);
        Assert.Equal(0, destroyed.ExitCode);
        using var removed = JsonDocument.Parse(destroyed.StandardOutput);
        Assert.Contains(checkpoint, removed.RootElement.GetProperty("removed")[1].GetString(), StringComparison.Ordinal);
        Assert.False(File.Exists(checkpoint));
    }

    [Fact]
    public async Task A_server_refuses_a_stream_of_lines()
    {
        var postgres = await TestServers.SharedAsync();
        var folder = TestFolder.New("lines");
        await File.WriteAllTextAsync(Path.Combine(folder, "tributary.yaml"), $$"""
            state: {{folder}}/state
            source: { url: "{{postgres.Url("postgres")}}" }
            streams: [ { name: audit, target: { stdout: {} } } ]
            """, TributaryProgram.Token);

        var refused = await TributaryProgram.RunInAsync(folder, NoEnvironment, "up");

        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("tributary stream run audit", refused.StandardError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_collector_gets_metrics_and_spans()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.NewDatabaseAsync();
        await ExecuteAsync(source, "CREATE TABLE orders (id int PRIMARY KEY)");
        var folder = TestFolder.New("otlp");
        string[] selection = ["--source", postgres.Url(Database(source)), "--to", "stdout", "--name", "cli_otlp", "--checkpoint", Path.Combine(folder, "a.checkpoint")];
        var endpoint = $"http://127.0.0.1:{FreePort()}/";
        using var collector = new HttpListener { Prefixes = { endpoint } };
        collector.Start();
        // How a user chooses them: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
        var environment = new Dictionary<string, string>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_METRIC_EXPORT_INTERVAL"] = "200",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
        };
        using (var run = Start(folder, selection, environment))
        {
            await UntilBeginsAsync(run);
            await ExecuteAsync(source, "INSERT INTO orders VALUES (1)");
            await CollectAsync(collector, ("/v1/metrics", "tributary.stream.rows"), ("/v1/traces", "stream.write"));
            run.Kill();
            await run.WaitForExitAsync(TributaryProgram.Token);
        }

        await TributaryProgram.RunInAsync(folder, NoEnvironment, ["stream", "destroy", .. selection, "--yes"]);
    }

    // Until each path has had a message that names what is wanted; names stand in protobuf as they are.
    static async Task CollectAsync(HttpListener collector, params (string Path, string Name)[] wanted)
    {
        var missing = wanted.ToHashSet();
        while (missing.Count > 0)
        {
            var context = await collector.GetContextAsync().WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, TributaryProgram.Token);
            var body = new MemoryStream();
            await context.Request.InputStream.CopyToAsync(body, TributaryProgram.Token);
            missing.RemoveWhere(item => item.Path == context.Request.Url!.AbsolutePath && body.ToArray().AsSpan().IndexOf(Encoding.ASCII.GetBytes(item.Name)) >= 0);
            context.Response.Close();
        }
    }

    static Process Start(string folder, string[] selection, Dictionary<string, string>? environment = null) =>
        Process.Start(TributaryProgram.StartInfo(folder, environment ?? NoEnvironment, ["stream", "run", .. selection]))!;

    static async Task UntilBeginsAsync(Process run)
    {
        while (await run.StandardError.ReadLineAsync(TributaryProgram.Token) is { } line)
        {
            if (line.Contains("carries changes only, from", StringComparison.Ordinal))
                return;
        }

        Assert.Fail("the stream ended before it began");
    }

    static async Task<int> NextIdAsync(Process run)
    {
        var line = await run.StandardOutput.ReadLineAsync(TributaryProgram.Token);
        Assert.NotNull(line);
        using var json = JsonDocument.Parse(line);
        return json.RootElement.GetProperty("new").GetProperty("id").GetInt32();
    }

    static int FreePort()
    {
        using var socket = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        socket.Start();
        return ((IPEndPoint)socket.LocalEndpoint).Port;
    }

    static string Database(string connectionString) => new NpgsqlConnectionStringBuilder(connectionString).Database!;

    static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync(TributaryProgram.Token);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(TributaryProgram.Token);
    }
}
