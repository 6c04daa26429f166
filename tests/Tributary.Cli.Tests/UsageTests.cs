using System.Text.Json;
using Tributary.Cli.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Cli.Tests;

/// <summary>What needs no server: help, completion, and everything that can be written wrongly.</summary>
public sealed class UsageTests
{
    const string Nowhere = "postgresql://u@127.0.0.1:1/shop";

    [Theory]
    [InlineData("bogus", "'bogus' is not known here")]
    [InlineData("branch crate x", "'crate' is not known here; did you mean 'create'?")]
    [InlineData("status --sokcet x", "'--sokcet' is not known here; did you mean '--socket'?")]
    [InlineData("branch get", "Required argument 'name' missing")]
    [InlineData("cost --agents few", "--agents takes whole numbers")]
    [InlineData("up", "nothing says what to run")]
    [InlineData("up --source mysql://h/d", "a Postgres URL starts with postgresql://")]
    [InlineData("connect", "nothing says which Postgres to connect")]
    [InlineData("connect mysql://h/d", "the URL does not read: a Postgres URL starts with postgresql://")]
    [InlineData("connect postgresql://u@h/d --listen here", "'here' is not an address and port")]
    [InlineData("stream run", "nothing says which stream")]
    [InlineData("stream check --source postgresql://u@h/d", "--target is missing")]
    [InlineData("stream check --name Bad --source postgresql://u@h/d --target postgresql://u@h/d", "'Bad' must be 1 to 40 lower-case letters")]
    public async Task A_wrong_command_line_is_told_in_one_line_with_exit_code_2(string line, string expected)
    {
        var result = await TributaryProgram.RunAsync(line.Split(' '));

        Assert.Equal((2, ""), (result.ExitCode, result.StandardOutput));
        Assert.StartsWith("error: ", result.StandardError, StringComparison.Ordinal);
        Assert.Contains(expected, result.StandardError.Split('\n')[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("branch get -o json", 2, "wrong-usage")]
    [InlineData("branch list --al -o json", 2, "wrong-usage")]
    [InlineData("connect mysql://h/d -o json", 2, "wrong-usage")]
    [InlineData("stream destroy --source postgresql://u@127.0.0.1:1/d --target postgresql://u@127.0.0.1:1/d --yes -o json", 6, "target-unsuitable")]
    [InlineData("destroy --source postgresql://u@h/d --state /nowhere/state --yes -o json", 4, "not-found")]
    [InlineData("doctor --repair --state /nowhere/state -o json", 2, "wrong-usage")]
    public async Task A_script_gets_every_failure_as_one_object(string line, int exitCode, string code)
    {
        var result = await TributaryProgram.RunAsync(line.Split(' '));

        Assert.Equal((exitCode, ""), (result.ExitCode, result.StandardOutput));
        using var problem = JsonDocument.Parse(result.StandardError);
        Assert.Equal(code, problem.RootElement.GetProperty("code").GetString());
        Assert.NotEqual("", problem.RootElement.GetProperty("detail").GetString());
    }

    [Fact]
    public async Task Doctor_looks_where_a_server_would_by_the_same_variables()
    {
        var state = TestFolder.New("doctor");

        var machine = await TributaryProgram.RunInAsync(state, new Dictionary<string, string> { ["TRIBUTARY_STATE"] = Path.Combine(state, "missing") }, "doctor");
        var production = await TributaryProgram.RunInAsync(state, new Dictionary<string, string> { ["TRIBUTARY_STATE"] = state, ["TRIBUTARY_SOURCE_URL"] = Nowhere }, "doctor", "-o", "json");

        Assert.Contains(state, machine.StandardOutput, StringComparison.Ordinal);
        Assert.Equal(1, production.ExitCode);
        Assert.Contains("127.0.0.1:1", production.StandardOutput, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "tributary branch create agent-42")]
    [InlineData("stream", "destroy")]
    public async Task A_group_of_commands_by_itself_shows_its_help(string line, string expected)
    {
        var result = await TributaryProgram.RunAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

        Assert.Equal((2, ""), (result.ExitCode, result.StandardError));
        Assert.Contains(expected, result.StandardOutput, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("connect")]
    [InlineData("up")]
    [InlineData("down")]
    [InlineData("destroy")]
    [InlineData("stream run")]
    [InlineData("stream check")]
    [InlineData("stream destroy")]
    [InlineData("branch connect")]
    [InlineData("branch import")]
    [InlineData("cost")]
    public async Task Help_ends_with_examples_of_the_command(string command)
    {
        var result = await TributaryProgram.RunAsync([.. command.Split(' '), "--help"]);

        Assert.Equal(0, result.ExitCode);
        Assert.Contains($"tributary {command}", result.StandardOutput.Split("Examples:\n")[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_version_is_one_line()
    {
        Assert.Matches(@"^\d+\.\d+\.\d+\S*\n$", (await TributaryProgram.RunAsync("--version")).StandardOutput);
        Assert.Matches(@"^\d+\.\d+\.\d+\S*\n$", (await TributaryProgram.RunAsync("version")).StandardOutput);
    }

    [Fact]
    public async Task The_completion_script_is_bash_and_what_it_asks_is_answered()
    {
        var script = await TributaryProgram.RunAsync("completion", "bash");
        var read = await ChildProcesses.RunAsync(new ChildProcessSpec("bash", ["-n"]) { StandardInput = script.StandardOutput }, TributaryProgram.Token);
        var suggested = await TributaryProgram.RunAsync("[suggest:17]", "tributary branch ");

        Assert.True(read.Succeeded, read.StandardError);
        Assert.Equal(["connect", "create", "delete", "get", "import", "list", "logs", "protect", "rename", "reset", "restore", "set", "tree", "unprotect"], suggested.StandardOutput.Split('\n').Where(word => word.Length > 0 && !word.StartsWith('-') && word[0] != '/'));
    }

    [Fact]
    public async Task Every_error_of_a_broken_file_is_told_at_once()
    {
        var folder = TestFolder.New("yaml");
        await File.WriteAllTextAsync(Path.Combine(folder, "tributary.yaml"), "sorce: {}\nbranching: { pool-size: 1MB }\ngateway: { listen: here }\n", TributaryProgram.Token);

        var result = await TributaryProgram.RunInAsync(folder, new Dictionary<string, string>(), "up");

        Assert.Equal(2, result.ExitCode);
        Assert.Equal(
            ["error: tributary.yaml:1:1: sorce", "error: tributary.yaml:1:1: source.url", "error: tributary.yaml:2:25: branching.pool-size", "error: tributary.yaml:3:20: gateway.listen", "hint: 4 errors in the configuration; nothing was started"],
            result.StandardError.Trim().Split('\n').Select(line => line.StartsWith("error", StringComparison.Ordinal) ? string.Join(": ", line.Split(": ")[..3]) : line));
    }

    [Fact]
    public async Task Without_a_server_it_says_how_to_start_one()
    {
        var text = await TributaryProgram.RunAsync("status", "--socket", "/nowhere/t.sock");
        var json = await TributaryProgram.RunAsync("branch", "list", "--socket", "/nowhere/t.sock", "-o", "json");

        Assert.Equal((3, 3), (text.ExitCode, json.ExitCode));
        Assert.Contains("error: no tributary server answers on /nowhere/t.sock: there is no such socket\nhint: start one with 'tributary up", text.StandardError, StringComparison.Ordinal);
        using var problem = JsonDocument.Parse(json.StandardError);
        Assert.Equal("server-unreachable", problem.RootElement.GetProperty("code").GetString());
    }

    [Fact]
    public async Task Production_that_does_not_answer_is_exit_code_5_and_leaves_nothing()
    {
        var state = Path.Combine(TestFolder.New("up"), "state");

        var up = await TributaryProgram.RunAsync("up", "--source", Nowhere, "--state", state);
        var check = await TributaryProgram.RunAsync("stream", "check", "--source", Nowhere, "--target", Nowhere, "-o", "json");
        var run = await TributaryProgram.RunAsync("stream", "run", "--source", Nowhere, "--target", Nowhere);

        Assert.Equal((5, 5, 5), (up.ExitCode, check.ExitCode, run.ExitCode));
        Assert.False(Directory.Exists(state));
        using var findings = JsonDocument.Parse(check.StandardOutput);
        Assert.Equal(["source", "target"], findings.RootElement.GetProperty("findings").EnumerateArray().Select(finding => finding.GetProperty("side").GetString()));
        Assert.False(findings.RootElement.GetProperty("passed").GetBoolean());
    }

    [Fact]
    public async Task Nothing_is_destroyed_without_a_yes()
    {
        var result = await TributaryProgram.RunAsync("stream", "destroy", "--source", Nowhere, "--target", Nowhere);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("this removes slot and publication tributary_replica", result.StandardError, StringComparison.Ordinal);
        Assert.Contains("hint: add --yes", result.StandardError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Costs_are_a_table_or_json_without_a_server()
    {
        var text = await TributaryProgram.RunAsync("cost", "--socket", "/nowhere/t.sock");
        var json = await TributaryProgram.RunAsync("cost", "--agents", "7", "--socket", "/nowhere/t.sock", "-o", "json");

        Assert.Equal(4, text.StandardOutput.Split('\n').Count(line => line.Contains("dump and restore  ", StringComparison.Ordinal) || line.Contains("branching  ", StringComparison.Ordinal)));
        using var cost = JsonDocument.Parse(json.StandardOutput);
        Assert.Equal([7, 7], cost.RootElement.GetProperty("rows").EnumerateArray().Select(row => row.GetProperty("agents").GetInt32()));
    }
}
