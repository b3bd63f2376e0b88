from kernelsm.app.learn import walk
from kernelsm.app.shell import navigation

navigation.require_entry()
walk.walk()
