import { describeConservation } from './conservation.ts'

describeConservation(600)
describeConservation(300, 'tap')
