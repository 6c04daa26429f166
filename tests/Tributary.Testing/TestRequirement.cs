using Tributary.Postgres.Programs;
using Xunit;

namespace Tributary.Testing;

/// <summary>What a test needs of the machine. Without it the test is skipped with the reason; where CI is true it fails, so that a run never counts what it did not try.</summary>
public static class TestRequirement
{
    public static void Of(bool met, string otherwise)
    {
        if (met)
            return;
        if (Environment.GetEnvironmentVariable("CI") == "true")
            Assert.Fail(otherwise);
        Assert.Skip(otherwise);
    }

    /// <summary>
    /// What Debian has packages of and another build of the version lacks: the test is skipped there with the reason, and needed on the machine's own.
    /// </summary>
    public static void OfBuild(PostgresInstallation installation, bool met, string otherwise)
    {
        Assert.SkipUnless(met || installation.IsPackaged, $"This build of PostgreSQL {installation.Major} is not the machine's own: {otherwise}");
        Of(met, otherwise);
    }

    /// <summary>An extension that comes in a Debian package of its own.</summary>
    public static void Extension(PostgresInstallation installation, string extension, string package) => Of(
        installation.OffersExtension(extension),
        $"The extension {extension} is not installed for PostgreSQL {installation.Major}: apt-get install {package}.");
}
