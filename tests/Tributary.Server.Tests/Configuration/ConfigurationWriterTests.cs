using System.Net;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Server.Configuration;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Configuration;

/// <summary>What is written reads back as what was meant, whatever the values hold.</summary>
public sealed class ConfigurationWriterTests
{
    static readonly FollowingProposalResponse Proposal = new("physical", ["it can", "it may"], []);

    [Theory]
    [InlineData("simple")]
    [InlineData("p@ss:w/o?r#d & \"quotes\" \\ ${HOME} $${X} 'x' ünïcode")]
    public void Every_value_survives_the_file(string password)
    {
        var source = Production.Url("postgresql://app@db.example.com:5433/shop?sslmode=require&sslrootcert=/etc/my%20ca.pem") with { Password = password };
        var written = Configuration(source, "/var/lib/a \"b\" ${HOME}");

        var read = ConfigurationReader.Read(ConfigurationWriter.Text(written, Proposal, source.ToSecretText(), "t.yaml"), "t.yaml", new ConfigurationOverrides(), static name => name is "HOME" or "X" ? "from the environment" : null);

        Assert.Empty(read.Errors);
        Assert.Equal(source, read.Configuration!.Source);
        Assert.Equal(written.StateDirectory, read.Configuration.StateDirectory);
        Assert.Equal(written.Gateway, read.Configuration.Gateway);
        Assert.Equal(written.Branching, read.Configuration.Branching);
    }

    [Fact]
    public void A_reference_to_the_environment_stays_one()
    {
        var text = ConfigurationWriter.Text(Configuration(Production.Url("postgresql://a@h/d"), "/s"), Proposal, "${WHERE}", "t.yaml");

        var read = ConfigurationReader.Read(text, "t.yaml", new ConfigurationOverrides(), static name => name == "WHERE" ? "postgresql://b@i/e" : null);

        Assert.Equal("postgresql://b@i:5432/e", read.Configuration!.Source!.ToString());
    }

    [Fact]
    public void Every_line_is_explained_and_the_reasons_are_told()
    {
        var text = ConfigurationWriter.Text(Configuration(Production.Url("postgresql://a@h/d"), "/s"), Proposal, "postgresql://a@h/d", "t.yaml");

        Assert.Contains("# - it can\n# - it may\n", text, StringComparison.Ordinal);
        var lines = text.Split('\n');
        var unexplained = lines.Index().Where(line => line.Item.Contains(": ", StringComparison.Ordinal) && !line.Item.TrimStart().StartsWith('#') && line.Index > 0
            && !lines[line.Index - 1].TrimStart().StartsWith('#') && !lines[line.Index - 1].EndsWith(':'));
        Assert.Empty(unexplained);
    }

    [Fact]
    public void The_file_is_its_owners_alone_and_replaces_another_only_when_told_to()
    {
        var path = Path.Combine(TestFolder.New("write"), "t.yaml");
        File.WriteAllText(path, "mine");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);

        Assert.ThrowsAny<IOException>(() => ConfigurationWriter.WriteFile(path, "new", replace: false));
        Assert.Equal("mine", File.ReadAllText(path));

        ConfigurationWriter.WriteFile(path, "new", replace: true);
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal([path], Directory.GetFiles(Path.GetDirectoryName(path)!));
    }

    static TributaryConfiguration Configuration(PostgresUrl source, string state) => new()
    {
        StateDirectory = state,
        Source = source,
        Branching = new BranchingOptions { StateDirectory = state, Source = source, SlotName = "tributary_main_2", PoolBytesMax = 100L << 30 },
        Gateway = new GatewayConfiguration { Listen = new IPEndPoint(IPAddress.Parse("::1"), 7000) },
        Api = new ApiConfiguration { Socket = TributaryConfiguration.DefaultSocket(state) },
    };
}
