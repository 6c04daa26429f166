using System.Diagnostics;
using System.Text.Json;
using Npgsql;
using Tributary.Cli.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Cli.Tests;

public sealed class StreamStatusTests
{
    [Fact]
    public async Task Status_shows_a_servers_stream_once_and_goes_on_when_asked_to()
    {
        var postgres = await TestServers.SharedAsync();
        var (source, target) = (await postgres.NewDatabaseAsync(), await postgres.NewDatabaseAsync());
        var folder = TestFolder.New("watch");
        await File.WriteAllTextAsync(Path.Combine(folder, "tributary.yaml"), $$"""
            state: {{folder}}/state
            source: { url: "{{postgres.Url(new NpgsqlConnectionStringBuilder(source).Database!)}}" }
            streams: [ { name: watched, target: { postgres: { url: "{{postgres.Url(new NpgsqlConnectionStringBuilder(target).Database!)}}" } } } ]
            """, TributaryProgram.Token);
        using var up = Start(folder, "up");
        while (await up.StandardOutput.ReadLineAsync(TributaryProgram.Token) is { } line && line != "Ctrl-C stops it")
        {
        }

        using (var watch = Start(folder, "stream", "status", "--watch", "--interval", "0.1", "-o", "json"))
        {
            string? phase;
            do
            {
                using var list = JsonDocument.Parse((await watch.StandardOutput.ReadLineAsync(TributaryProgram.Token))!);
                var stream = list.RootElement.GetProperty("streams")[0];
                phase = stream.GetProperty("phase").GetString();
                Assert.Equal((0, 0), (stream.GetProperty("changes").GetProperty("inserts").GetInt32(), stream.GetProperty("inFlightBytes").GetInt32()));
            }
            while (phase != "streaming");

            // A kind of object that no replica gets.
            await using (var connection = new NpgsqlConnection(source + ";Pooling=false"))
            {
                await connection.OpenAsync(TributaryProgram.Token);
                await using var command = new NpgsqlCommand("CREATE CONVERSION narrow FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1", connection);
                await command.ExecuteNonQueryAsync(TributaryProgram.Token);
            }

            int reports;
            do
            {
                using var list = JsonDocument.Parse((await watch.StandardOutput.ReadLineAsync(TributaryProgram.Token))!);
                var stream = list.RootElement.GetProperty("streams")[0];
                reports = stream.GetProperty("schemaReports").GetInt32();
                Assert.False(stream.GetProperty("schemaFromDescriptions").GetBoolean());
                Assert.Equal(reports, stream.GetProperty("lastSchemaReports").GetArrayLength());
            }
            while (reports == 0);
            Assert.Equal(0, await InterruptAsync(watch));
        }

        var once = await TributaryProgram.RunInAsync(folder, new Dictionary<string, string>(), "stream", "status");
        var wrong = await TributaryProgram.RunInAsync(folder, new Dictionary<string, string>(), "stream", "status", "--watch", "--interval", "0");
        Assert.Equal((0, 2), (once.ExitCode, wrong.ExitCode));
        Assert.Contains("watched: confirmed ", once.StandardOutput, StringComparison.Ordinal);
        Assert.Matches("watched: not carried at [0-9A-F]+/[0-9A-F]+: CREATE CONVERSION ", once.StandardOutput);
        Assert.Contains("in flight 0 transactions", once.StandardOutput, StringComparison.Ordinal);
        Assert.Equal(0, await InterruptAsync(up));
        var destroyed = await TributaryProgram.RunInAsync(folder, new Dictionary<string, string>(), "stream", "destroy", "watched", "--yes");
        Assert.Equal(0, destroyed.ExitCode);
    }

    static Process Start(string folder, params string[] arguments)
    {
        var process = Process.Start(TributaryProgram.StartInfo(folder, new Dictionary<string, string>(), arguments))!;
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        return process;
    }

    static async Task<int> InterruptAsync(Process process)
    {
        (await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "INT", $"{process.Id}"]), TributaryProgram.Token)).EnsureSucceeded("kill");
        await process.StandardOutput.ReadToEndAsync(TributaryProgram.Token);
        await process.WaitForExitAsync(TributaryProgram.Token);
        return process.ExitCode;
    }
}
