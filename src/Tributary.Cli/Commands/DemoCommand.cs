using System.CommandLine;
using Microsoft.Extensions.Logging;
using Tributary.Cli.Output;
using Tributary.Demo;
using Tributary.Postgres.Programs;
using Tributary.Server.Configuration;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary demo</c>: the main job from beginning to end, on this machine, leaving nothing behind.</summary>
static class DemoCommand
{
    static readonly Option<int> Orders = new("--orders") { Description = "Orders that the shop begins with", DefaultValueFactory = static _ => 350_000, HelpName = "count" };

    static readonly Option<double> Rate = new("--orders-per-second") { Description = "New orders while it runs", DefaultValueFactory = static _ => 50, HelpName = "rate" };

    static readonly Option<int> Agents = new("--agents") { Description = "Agents whose branches exist at once", DefaultValueFactory = static _ => 50, HelpName = "count" };

    static readonly Option<int> Interval = new("--agent-interval-ms") { Description = "Pause between one agent's arrival and the next", DefaultValueFactory = static _ => 700, HelpName = "ms" };

    static readonly Option<int> Seed = new("--seed") { Description = "Seed of the shop's and the arrivals' chance", DefaultValueFactory = static _ => 42, HelpName = "number" };

    static readonly Option<string> Driver = new("--driver") { Description = "Storage of branches: auto, btrfs or copy", DefaultValueFactory = static _ => "auto", HelpName = "name" };

    static readonly Option<string> Directory = new("--directory")
    {
        Description = "Where everything is kept while it runs; removed at the end",
        DefaultValueFactory = static _ => Path.Combine(Path.GetTempPath(), $"tributary-demo-{Environment.UserName}"),
        HelpName = "folder",
    };

    static readonly Option<bool> Exit = new("--exit") { Description = "End and clean up after the closing table" };

    public static Command Build()
    {
        Driver.AcceptOnlyFromAmong("auto", "btrfs", "copy");
        var command = new Command("demo", "Run the main job on this machine: a shop, a stream, branches, and agents that use and abuse them")
        {
            Orders, Rate, Agents, Interval, Seed, Driver, Directory, Exit,
        };
        command.SetAction(RunAsync);
        return command.WithExamples("tributary demo", "tributary demo --exit", "tributary demo --orders 20000 --agents 10 --exit");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var options = new DemoOptions
        {
            Orders = parse.GetValue(Orders),
            OrdersPerSecond = parse.GetValue(Rate),
            Agents = parse.GetValue(Agents),
            AgentInterval = TimeSpan.FromMilliseconds(parse.GetValue(Interval)),
            Seed = parse.GetValue(Seed),
            Driver = parse.GetValue(Driver)!,
            Directory = parse.GetValue(Directory)!,
            Exit = parse.GetValue(Exit),
        };
        var narrator = new ConsoleNarrator(parse.InvocationConfiguration.Output, TimeProvider.System);
        if (!Environment.IsPrivilegedProcess && options.Driver == "auto")
            narrator.Line("Not run as root, so btrfs cannot be mounted: branches are full copies, slower to make and as large as the data. Run it with sudo for the real thing.");
        try
        {
            await new DemoRun(options, narrator, StartServerAsync, TimeProvider.System).RunAsync(cancellationToken);
            return ExitCodes.Ok;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            narrator.Line("Ended by request; everything of the demonstration is removed.");
            return options.Exit ? ExitCodes.Cancelled : ExitCodes.Ok;
        }
        catch (ArgumentException exception)
        {
            return Failures.Usage(parse, exception.Message);
        }
        catch (Exception exception) when (exception is DemoException or ChildProcessException or InvalidOperationException or Tributary.Demo.Agents.BranchException or Npgsql.NpgsqlException)
        {
            if (Environment.GetEnvironmentVariable("TRIBUTARY_DEBUG") is { Length: > 0 })
                parse.InvocationConfiguration.Error.WriteLine(exception);
            Failures.Write(parse, $"the demonstration stopped: {exception.Message}", "what it had started is ended and removed; 'tributary doctor' checks the machine");
            return ExitCodes.Failed;
        }
    }

    // The server runs in this very process, as `tributary up` runs it; its log goes to a file beside the configuration.
    static async Task<IAsyncDisposable> StartServerAsync(string configurationFile, CancellationToken cancellationToken)
    {
        var read = ConfigurationReader.ReadFile(configurationFile, new ConfigurationOverrides(), static _ => null);
        if (read.Configuration is not { } configuration)
            throw new DemoException(string.Join("; ", read.Errors));
        var log = new StreamWriter(Path.Combine(Path.GetDirectoryName(configurationFile)!, "tributary.log")) { AutoFlush = true };
        var loggers = StderrLogging.Create(log, LogLevel.Information);
        var (host, failure) = await ServerHost.StartAsync(configuration, TimeProvider.System, loggers, cancellationToken);
        if (host is not null)
            return new RunningServer(host, loggers, log);
        loggers.Dispose();
        await log.DisposeAsync();
        throw new DemoException($"{failure!.Message}. {failure.Hint}");
    }

    sealed class RunningServer(ServerHost host, ILoggerFactory loggers, StreamWriter log) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await host.DisposeAsync();
            loggers.Dispose();
            await log.DisposeAsync();
        }
    }
}
