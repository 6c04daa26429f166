using Xunit;

namespace Tributary.Testing;

/// <summary>Programs that only tests need. Without them a test is skipped with the reason; where CI is true it fails, so that a run never counts what it did not meet.</summary>
public static class TestPrograms
{
    static readonly string[] Folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    /// <param name="package">The Debian package that has them.</param>
    public static void Require(string package, params ReadOnlySpan<string> programs)
    {
        foreach (var program in programs)
        {
            if (!Folders.Any(folder => File.Exists(Path.Combine(folder, program))))
                Missing($"{program} is not on this machine: ./test installs it (apt-get install {package}).");
        }
    }

    /// <summary>Ends the test as skipped, or as failed where CI is true.</summary>
    public static void Missing(string reason)
    {
        if (Environment.GetEnvironmentVariable("CI") == "true")
            Assert.Fail(reason);
        Assert.Skip(reason);
    }
}
