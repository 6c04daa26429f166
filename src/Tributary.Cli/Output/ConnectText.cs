using Tributary.Contracts;
using Tributary.Server;

namespace Tributary.Cli.Output;

/// <summary>What <c>tributary connect</c> finds, proposes and does, as text.</summary>
static class ConnectText
{
    public static void Findings(ConnectResponse response, TextWriter output)
    {
        DoctorText.Checks(response.Findings, output);
        output.WriteLine();
        var proposal = response.Proposal;
        output.WriteLine(proposal.Mode is { } mode ? $"proposed: main follows by {mode} replication" : "main cannot follow this Postgres as it is");
        foreach (var reason in proposal.Reasons)
            output.WriteLine($"  because {reason}");
        foreach (var change in proposal.Changes)
            output.WriteLine($"  to do: {change}");
        if (proposal.Mode is not null && response.Findings.Any(finding => finding.Outcome == CheckOutcome.Failed))
            output.WriteLine("  but first mend here what has FAILED above, then run it again");
    }

    public static void Written(string file, bool holdsPassword, TextWriter output)
    {
        output.WriteLine();
        output.WriteLine($"written: {file}{(holdsPassword ? ", readable by you alone, since it holds production's password" : "")}");
        output.Flush();
    }

    public static void Next(ConnectResponse response, TextWriter output)
    {
        if (response.Status is not { } status)
        {
            output.WriteLine($"start it: tributary up --detach -c {response.File}");
            return;
        }

        output.WriteLine($"the server runs in the background, pid {status.ProcessId}, and logs to {response.Log}");
        output.WriteLine($"branches are reached at {status.Gateway.Host}:{status.Gateway.Port}:");
        // Commands find the server by a configuration in the folder where they run, or by the default state folder.
        var isFound = response.File == Path.GetFullPath("tributary.yaml") || status.StateDirectory == TributaryConfiguration.DefaultStateDirectory();
        var configuration = isFound ? "" : $" -c {response.File}";
        output.WriteLine($"  tributary branch create first{configuration}");
        output.WriteLine($"  tributary branch connect first{configuration}");
        output.WriteLine($"tributary down{configuration} stops the server; tributary up --detach -c {response.File} starts it again; tributary destroy -c {response.File} removes all of it");
    }
}
